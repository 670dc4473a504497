/*
 * Every cap of the product in one place (invariant 10). Reaching one is an error that names it.
 * Sizes in bytes, times in milliseconds.
 */
#pragma once

/* plans and configuration */
#define LIMIT_PLAN_BYTES       (64 * 1024)
#define LIMIT_NORMALIZED_BYTES (192 * 1024) /* of a plan written out in full: a service's schedules grow much */
#define LIMIT_CONFIG_BYTES     (64 * 1024)
#define LIMIT_YAML_DEPTH       16
#define LIMIT_YAML_NODES       24576 /* 16 aliases of 100 steps and 16 metrics, written out in full, have 20,300 */
#define LIMIT_DIAGNOSTICS      64    /* further ones are counted */
#define LIMIT_PLAN_FILES       20000 /* in plans_dir */
#define LIMIT_STEPS	       100
#define LIMIT_METRICS	       16	    /* of one plan's analysis */
#define LIMIT_DATA_QUERIES     20	    /* of one `query` */
#define LIMIT_QUERY_BYTES      (16 * 1024)  /* of all of them together, as JSON */
#define LIMIT_PROBE_EVERY_MS   100	    /* the shortest time from one probe of a version to the next */
#define LIMIT_PROBE_BYTES      (256 * 1024) /* of the event that it is sent with */
#define LIMIT_NAME	       63	    /* of a plan */
#define LIMIT_FUNCTION_NAME    140	    /* name or ARN, as Lambda's model says */
#define LIMIT_ALIAS_NAME       128
#define LIMIT_ALARM_NAME       255
#define LIMIT_BAKE_MS	       (14LL * 24 * 3600 * 1000) /* CloudWatch keeps 60 s points for 15 days */
#define LIMIT_DURATION_MS      (365LL * 24 * 3600 * 1000)

/* rollouts */
#define LIMIT_ROLLOUTS 20000 /* live at the same time */
#define LIMIT_EFFECTS  32    /* of one step of the state machine: LIMIT_METRICS announcements and the rest */
#define LIMIT_REASON   256   /* text of a reason, with its NUL */
#define LIMIT_PERIODS  20160 /* samples kept of one rollout: 14 days of 60 s */

/* what is kept of one rollout beside its record, so that its story can be told */
#define LIMIT_SAMPLE_VERSIONS (4 * LIMIT_PERIODS) /* rows of counts; further ones take the place of the older ones */
#define LIMIT_JUDGEMENTS      20160		  /* the newest … */
#define LIMIT_JUDGEMENTS_MORE 1024		  /* … and so many older ones, which go together */
#define LIMIT_JUDGEMENT_BYTES (16 * 1024)	  /* of one judgement's details */
#define LIMIT_QUERIES	      16		  /* changes of what CloudWatch is asked; the newest */
#define LIMIT_TOLD_EVENTS     10000		  /* events of one rollout that are told; the newest */
#define LIMIT_TOLD_BYTES      (32 * 1024 * 1024)  /* judgements that are told: beyond it some are left out */

/* services */
#define LIMIT_SERVICE_ALIASES	16
#define LIMIT_SERVICE_STAGES	10 /* of one API: AWS's own limit */
#define LIMIT_SERVICE_ROUTES	100
#define LIMIT_VERIFY		10 /* requests that must be answered before a rollout counts as succeeded */
#define LIMIT_ZIP_BYTES		(50 * 1024 * 1024) /* AWS's own limit for a direct upload */
#define LIMIT_POLICY_BYTES	20480		   /* of one qualifier's policy: AWS's own limit */
#define LIMIT_HOOK_TIMEOUT_MS	(3600LL * 1000)
#define LIMIT_HOOK_OUTPUT_BYTES 4096 /* kept of what a hook says */
#define LIMIT_INSPECTIONS	8    /* diffs and doctors at the same time */
#define LIMIT_SERVICES		2000
#define LIMIT_URL		2048
#define LIMIT_PATH		1024

/* AWS */
#define LIMIT_AWS_RESPONSE_BYTES (8 * 1024 * 1024)
#define LIMIT_AWS_REQUEST_BYTES	 (1024 * 1024)
/* A request with code in it: LIMIT_ZIP_BYTES in base64, and what stands around it. */
#define LIMIT_AWS_UPLOAD_BYTES ((LIMIT_ZIP_BYTES + 2) / 3 * 4 + LIMIT_AWS_REQUEST_BYTES)
#define LIMIT_JSON_DEPTH       32
#define LIMIT_METRIC_QUERIES   500   /* of one GetMetricData call: AWS's own limit */
#define LIMIT_PAGES	       100   /* NextToken pages of one logical call */
#define LIMIT_VIEW_ITEMS       20000 /* of one list that all pages make together: versions, aliases, routes … */
#define LIMIT_CREDENTIALS_FILE (256 * 1024)
#define LIMIT_KEYS_PROGRAMS    16	   /* that give AWS keys, at a time; others wait */
#define LIMIT_KEYS_ANSWER      (64 * 1024) /* of what gives keys: STS, a program, a token's file, … */
#define LIMIT_CALLS_QUEUED     65536
#define LIMIT_PROBES_OPEN      32 /* of one account and region, sent or about to be: more would take its concurrency */
#define LIMIT_PROBES_RPS       50 /* … and in a second */
#define LIMIT_PROBE_TIMEOUT_MS (60LL * 1000) /* without an answer for so long it has failed */
#define LIMIT_CALLS_IN_FLIGHT  64

/* certificates of authorities */
#define LIMIT_CA_BUNDLES	64		   /* of profiles, that are kept with their connections */
#define LIMIT_CA_BUNDLE_BYTES	(16 * 1024 * 1024) /* of a file */
#define LIMIT_CA_FOLDERS	8		   /* of SSL_CERT_DIR */
#define LIMIT_CA_FOLDER_ENTRIES 4096		   /* of each: they are looked at in the loop */

/* control socket */
#define LIMIT_CONTROL_REQUEST_BYTES	  (64 * 1024)
#define LIMIT_CONTROL_CONNECTIONS	  32
#define LIMIT_CONTROL_CONNECTIONS_PER_UID 16
#define LIMIT_CONTROL_TIMEOUT_MS	  5000
#define LIMIT_CONTROL_ANSWER_BYTES	  (64 * 1024 * 1024) /* taken by rolloutctl: LIMIT_ROLLOUTS of them */
#define LIMIT_EVENTS_PAGE		  1000		     /* events of one answer */

/* store */
#define LIMIT_RECORD_BYTES   (256 * 1024)
#define LIMIT_PRUNE_ROLLOUTS 200  /* dropped by one call */
#define LIMIT_PRUNE_EVENTS   2000 /* about no rollout, dropped by one call */

/* simulations: rolloutctl simulate */
#define LIMIT_SIMULATE_RUNS  10000
#define LIMIT_SIMULATE_RPS   1000000
#define LIMIT_SIMULATE_MS    (60LL * 24 * 3600 * 1000) /* of one rollout, in its own time */
#define LIMIT_SIMULATE_TURNS 50000000		       /* of one rollout's engine: the fastest probes for 14 days */
