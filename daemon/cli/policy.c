/* policy: the least that IAM must allow, from the table that the daemon itself goes by. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli.h"
#include "command.h"

#define POLICY_MAX	   (256 * 1024)
#define MANAGED_POLICY_MAX 6144 /* IAM's limit, which does not count white space */

static unsigned find_features(const char *name, size_t len)
{
	if (len == 3 && strncmp(name, "all", len) == 0)
		return (1u << FEATURE_COUNT) - 1;
	for (enum right_feature f = 0; f < FEATURE_COUNT; f++) {
		const char *known = rights_feature_name(f);

		if (strlen(known) == len && strncmp(name, known, len) == 0)
			return rights_feature_closure(f);
	}
	return 0;
}

int policy_take_features(struct cli *cli, const char *value)
{
	if (!*value) {
		cli_error(cli, "--feature: expected names of features, with commas between them. See: rolloutctl help "
			       "policy");
		return EXIT_USAGE;
	}
	while (*value) {
		size_t len = strcspn(value, ",");
		unsigned found = find_features(value, len);

		if (!found) {
			cli_error(cli, "--feature: no feature '%.*s'. See: rolloutctl help policy", (int)len, value);
			return EXIT_USAGE;
		}
		cli->rights.features |= found;
		value += len + (value[len] == ',');
	}
	return EXIT_DONE;
}

int policy_take_part(struct cli *cli, enum right_part part, const char *value)
{
	static const char *const expected[PART_COUNT] = {
	    [PART_FUNCTION] = "names of functions, with commas between them",
	    [PART_HOOK] = "names of functions, with commas between them",
	    [PART_REGION] = "a region such as eu-west-1",
	    [PART_ACCOUNT] = "the twelve digits of an account",
	    [PART_API] = "ids of APIs, with commas between them",
	    [PART_ROLE] = "the name of a role, with its path if it has one",
	    [PART_BUCKET] = "names of buckets, with commas between them",
	    [PART_REPOSITORY] = "names of repositories, with commas between them",
	};

	if (!rights_part_is_valid(part, value)) {
		cli_error(cli, "--%s: expected %s, not '%s'", rights_part_name(part), expected[part], value);
		return EXIT_USAGE;
	}
	if (cli->rights.parts[part]) {
		cli_error(cli, "--%s is there twice: it takes %s, once", rights_part_name(part), expected[part]);
		return EXIT_USAGE;
	}
	cli->rights.parts[part] = value;
	return EXIT_DONE;
}

void policy_print_features(void)
{
	puts("Features:");
	for (enum right_feature f = 0; f < FEATURE_COUNT; f++)
		printf("  %-24s %s\n", rights_feature_name(f), rights_feature_about(f));
	printf("  %-24s %s\n\n", "all", "all of these");
}

static size_t billed_size(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text != ' ' && *text != '\n';
	return n;
}

int command_policy(struct cli *cli)
{
	cleanup(buf_deinit) struct buf out = BUF_INIT(POLICY_MAX);

	if (!cli->rights.features)
		cli->rights.features = rights_feature_closure(FEATURE_ROLLOUTS);
	rights_print_policy(&cli->rights, &out);
	if (!buf_ok(&out)) {
		cli_error(cli,
			  "the policy would have more than %d bytes; name fewer functions, or patterns such as "
			  "shop-*",
			  POLICY_MAX);
		return EXIT_REFUSED;
	}
	cli_write(&out);
	if (billed_size(buf_text(&out)) > MANAGED_POLICY_MAX)
		cli_error(cli,
			  "this is more than IAM takes in one managed policy (%d characters): name fewer "
			  "functions, or patterns such as shop-*",
			  MANAGED_POLICY_MAX);
	return EXIT_DONE;
}
