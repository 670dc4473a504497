/*
 * The alias protocol of rolloutd, for spin: how a rollout writes an alias that others write too, over a network that
 * loses answers and delivers late, from a process that may be killed, stopped or replaced, onto a disk that may fail.
 * README.md says what is modelled, what is left out, and which function of the code each part stands for. Names are the
 * code's where there is one.
 *
 * Contents of the alias are numbers: 0 all traffic on stable, 1 to STEPS the plan's weights (STEPS is all of it on the
 * canary), STEPS + 1 a content that no plan asks for.
 */

/* --- bounds --- */

#ifndef STEPS
#define STEPS 2
#endif
#ifndef FAULTS
#define FAULTS 2 /* crashes, takeovers, lost answers, refused calls, stale looks, disk failures: together */
#endif
#ifndef HUMANS
#define HUMANS 1 /* writes by somebody else */
#endif
#ifndef COMMANDS
#define COMMANDS 1 /* an operator's rollback or resume */
#endif

#ifndef STALE /* 1: GetAlias may show what the alias was before its last change */
#define STALE 1
#endif

/* --- what the protocol rests on; each one taken out must break a property --- */

#ifndef REVISION /* a write carries the RevisionId that it was decided on */
#define REVISION 1
#endif
#ifndef INTENT /* a write leaves once its intent is durable */
#define INTENT 1
#endif
#ifndef HISTORY /* every target asked for since the last confirmation is remembered, not only the last one */
#define HISTORY 1
#endif
#ifndef FENCE /* a commit looks whether the state is still this daemon's */
#define FENCE 1
#endif
#ifndef LOOK_RESUMED /* after a restart the alias is read; otherwise a recorded intent is taken for done */
#define LOOK_RESUMED 1
#endif
#ifndef UNSURE_RESUMED /* after a restart a recorded intent may still land */
#define UNSURE_RESUMED 1
#endif
#ifndef UNSURE_HOME /* home is written although the alias seems home, while a write may still land */
#define UNSURE_HOME 1
#endif
#ifndef UNKNOWN /* no answer is no refusal: otherwise a lost write counts as not applied */
#define UNKNOWN 1
#endif
#ifndef COMPARE /* what a look finds is compared with what was left and asked for */
#define COMPARE 1
#endif
#ifndef HOME_UNRECORDED /* the way home does not wait for the disk */
#define HOME_UNRECORDED 1
#endif
#ifndef HELD_BACK /* a forward write does */
#define HELD_BACK 1
#endif
#ifndef CALL_BACK /* the way home takes a write back that has not left */
#define CALL_BACK 1
#endif
#ifndef LAST_LOOK /* the alias is read once more before success */
#define LAST_LOOK 1
#endif
#ifndef TAKEN_BACK /* a weight that landed unseen and was taken back by hand is not asked for again */
#define TAKEN_BACK 1
#endif
#ifndef OLD_VIEWS /* a look at the revision before the confirmed one is known to be old */
#define OLD_VIEWS 1
#endif
#ifndef PATIENCE
#define PATIENCE 3 /* an old view that stays is no old view: more than faults can make in a row */
#endif
#ifndef DISK_IS_BLIND /* 1: a disk that fails cannot be read either, so nobody learns of a takeover from it */
#define DISK_IS_BLIND 0
#endif
#ifndef CHECK_INTENT /* 0: property 6 is not looked at, so that what it protects can be seen to break */
#define CHECK_INTENT 1
#endif
#ifndef CHECK_BLOCKED /* the same for property 7 */
#define CHECK_BLOCKED 1
#endif

#define HOME  0
#define TOP   STEPS
#define OTHER (STEPS + 1)

#define bit_of(content)	    (1 << (content))
#define holds(set, content) (((set) >> (content)) & 1)

#define may_fail (faults < FAULTS)

/* --- AWS --- */

unsigned alias : 3;    /* what the alias holds */
unsigned revision : 5; /* its RevisionId: never the same twice */
unsigned past : 3;     /* what it held before, and the RevisionId of that: all that a stale look shows */
unsigned past_revision : 5;
unsigned late : 4; /* targets of writes that nobody waits for any more, and that may still land. With REVISION only
		      those that carry the alias's present RevisionId: the others never can. */

/* --- a rollout: struct rollout, as far as the protocol goes --- */

#define RUNNING	  0
#define BLOCKED	  1
#define SUCCEEDED 2
#define BACK	  3 /* rolled-back, or failed: ended with all traffic on stable */

#define WAIT_NOTHING 0
#define WAIT_READ    1
#define WAIT_WRITE   2

typedef rollout {
	unsigned phase : 2;
	bool goal_home;
	unsigned step : 2; /* the content that is wanted on the way forward: 1 to STEPS */
	bool applied;
	bool look;
	bool unsure;
	bool cancelled;
	bool take_over;
	bool reopened;
	bool finishing;
	bool traffic; /* first_traffic_unix_ms != 0 */
	unsigned live : 3;
	unsigned revision : 5;
	unsigned old_revision : 5; /* the one that was confirmed before: a look that shows it shows the past */
	unsigned asked : 4;
	unsigned old_views : 2; /* how many in a row */
	unsigned wait : 2;
};

/* --- the disk --- */

rollout record;
bit owner;	   /* whose epoch is in the store */
bool disk_fails;   /* no commit succeeds */
bool disk_is_lost; /* nor ever will */

/* --- the daemons: what a process has in memory, and its calls --- */

#define OUT_NOTHING 0
#define OUT_HELD    1 /* in the engine's outbox: the turn is not durable yet */
#define OUT_QUEUED  2 /* in dispatch */
#define OUT_WIRE    3 /* sent; AWS has it, or will */

#define NO_ANSWER   0
#define ANSWER_OK   1
#define CONFLICT    2
#define UNAVAILABLE 3

#define SIGHT_NONE 0
#define SIGHT_DUE  1 /* GetAlias is on its way */
#define SIGHT_HAD  2 /* AWS has answered */

typedef process {
	rollout state;
	bool alive;
	bool dirty;
	unsigned out : 2; /* UpdateAlias: where it is, what it asks for, the RevisionId it carries */
	unsigned target : 3;
	unsigned carries : 5;
	bool recorded; /* its intent is durable */
	unsigned answer : 2;
	unsigned sight : 2; /* GetAlias: where it is, what it saw */
	unsigned saw : 3;
	unsigned saw_revision : 5;
};

process daemon[2];

#define me daemon[id]
#define r  daemon[id].state

/* --- the rest of the world, and what the properties remember --- */

unsigned faults : 3;
unsigned humans : 2;
unsigned commands : 2;
bool bad; /* the canary fails, and its metrics say so from now on */

bool human_wrote;	/* at any time */
bool by_human;		/* the alias's present content */
bool foreign;		/* … which neither the record nor an intent since could have left there */
bool taken_back;	/* … and it took back a weight of ours that the record does not know to have landed */
bool unseen;		/* … and the owner has not looked since */
bool missed;		/* … and it was there before the last weight had baked */
bool home_unrecorded;	/* a way home has left without a record */
unsigned intents : 4;	/* targets made durable since the record's RevisionId changed */
unsigned highest : 2;	/* the highest of the plan's weights that the alias has ever had */
bool home_landed;	/* … after the rollback was durably decided */
bool failed;		/* a fail verdict was taken, or a rollback command answered as done */

/* The properties; README.md has them as sentences. */
#define foreign_write_is_kept(what)	     !(foreign && what != alias)
#define no_weight_is_asked_for_again(what) !(taken_back && what != HOME && what != alias)
#define no_rise_after_home(what)	     !(what != HOME && (home_landed || record.phase == BACK))
#define no_step_forward_after_rollback !(was_home && me.out == OUT_HELD && me.target != HOME)
#define rollback_is_not_forgotten    !(was_home && !r.goal_home && r.phase != SUCCEEDED)
#define nothing_forward_leaves_after_rollback !(me.target != HOME && r.goal_home)
#define no_step_is_skipped	     !(me.target != HOME && me.target > highest + 1)
#define ended_back_is_home	     (alias == HOME || by_human || owner != id)
#define success_is_on_canary	     (((alias == TOP || unseen) && !missed) || owner != id)
#define intent_was_durable	     (me.recorded || me.target == HOME)
#define blocked_for_a_reason	     (human_wrote || home_unrecorded || owner != id)

/* --- the alias changes --- */

inline alias_becomes(content)
{
	printf("the alias becomes %d, revision %d\n", content, revision + 1);
	past = alias;
	past_revision = revision;
	alias = content;
	revision = revision + 1;
	assert(revision < 31);
	if
	:: REVISION -> late = 0
	:: else
	fi;
	if
	:: content <= TOP && content > highest -> highest = content
	:: else
	fi
}

/* UpdateAlias takes effect: ours, on time or late. */
inline update_applies(what)
{
	assert(foreign_write_is_kept(what));
	assert(no_weight_is_asked_for_again(what));
	assert(no_rise_after_home(what));
	alias_becomes(what);
	by_human = false;
	foreign = false;
	taken_back = false;
	unseen = (what == HOME && !record.goal_home); /* a way home that is on no record */
	if
	:: what == HOME && record.goal_home -> home_landed = true
	:: else
	fi
}

/* --- the engine: commit.c, engine.c --- */

inline copy(to, from)
{
	to.phase = from.phase;
	to.goal_home = from.goal_home;
	to.step = from.step;
	to.applied = from.applied;
	to.look = from.look;
	to.unsure = from.unsure;
	to.cancelled = from.cancelled;
	to.take_over = from.take_over;
	to.reopened = from.reopened;
	to.finishing = from.finishing;
	to.traffic = from.traffic;
	to.live = from.live;
	to.revision = from.revision;
	to.old_revision = from.old_revision;
	to.asked = from.asked;
	to.old_views = from.old_views;
	to.wait = from.wait
}

/* A process is gone. What it had on the wire may still land. */
inline vanish()
{
	if
	:: me.out == OUT_WIRE && me.answer == NO_ANSWER && (!REVISION || me.carries == revision) ->
		late = late | bit_of(me.target)
	:: else
	fi;
	me.alive = false;
	me.dirty = false;
	me.out = OUT_NOTHING;
	me.target = 0;
	me.carries = 0;
	me.recorded = false;
	me.answer = NO_ANSWER;
	me.sight = SIGHT_NONE;
	me.saw = 0;
	me.saw_revision = 0;
	r.phase = 0;
	r.goal_home = 0;
	r.step = 0;
	r.applied = 0;
	r.look = 0;
	r.unsure = 0;
	r.cancelled = 0;
	r.take_over = 0;
	r.reopened = 0;
	r.finishing = 0;
	r.traffic = 0;
	r.live = 0;
	r.revision = 0;
	r.old_revision = 0;
	r.asked = 0;
	r.old_views = 0;
	r.wait = 0
}

/* commit_turn(), and empty_outbox() after it. */
inline commit()
{
	if
	:: FENCE && owner != id && (!disk_fails || !DISK_IS_BLIND) -> vanish()
	:: disk_fails && (!FENCE || owner == id || DISK_IS_BLIND) ->
		me.dirty = true;
		if
		:: me.out == OUT_HELD && ((me.target == HOME && HOME_UNRECORDED) || !HELD_BACK) ->
			me.out = OUT_QUEUED;
			if
			:: me.target == HOME -> home_unrecorded = true
			:: else
			fi
		:: else
		fi
	:: !disk_fails && (!FENCE || owner == id) ->
		was_home = record.goal_home;
		assert(rollback_is_not_forgotten);
		assert(no_step_forward_after_rollback);
		if
		:: record.revision != r.revision -> intents = 0
		:: else
		fi;
		intents = intents | r.asked;
		if
		:: holds(intents, alias) ->
			foreign = false;
			taken_back = false
		:: else
		fi;
		if
		:: me.out == OUT_HELD ->
			assert(no_step_is_skipped);
			me.out = OUT_QUEUED;
			me.recorded = true
		:: else
		fi;
		copy(record, r);
		me.dirty = false;
		was_home = false
	fi
}

/* EFFECT_CANCEL leaves with the turn: call_back() in the outbox, dispatch_cancel() in the queue. */
inline call_back()
{
	if
	:: me.alive && r.cancelled && CALL_BACK && (me.out == OUT_HELD || me.out == OUT_QUEUED) ->
		me.out = OUT_NOTHING;
		me.answer = UNAVAILABLE
	:: else
	fi
}

/* --- the core: traffic.c, step.c, command.c --- */

inline traffic_confirm(content, at)
{
	if
	:: r.revision != at -> r.old_revision = r.revision
	:: else
	fi;
	r.live = content;
	r.revision = at;
	r.asked = 0;
	r.unsure = false
}

inline ends_back()
{
	printf("%d: ends, all traffic on stable\n", id);
	assert(ended_back_is_home);
	r.phase = BACK
}

inline ends_well()
{
	printf("%d: ends, all traffic on the canary\n", id);
	assert(success_is_on_canary);
	r.phase = SUCCEEDED
}

inline landed()
{
	if
	:: r.goal_home ->
		r.applied = false;
		r.look = false;
		r.reopened = false;
		ends_back()
	:: else ->
		printf("%d: bakes %d\n", id, r.step);
		r.applied = true;
		r.traffic = true;
		r.finishing = false
	fi
}

/* Needs wait == WAIT_NOTHING and no look that is due. */
inline traffic_write()
{
	wanted = (r.goal_home -> HOME : r.step);
	if
	:: wanted == r.live && (!r.unsure || (r.goal_home && !UNSURE_HOME)) -> landed()
	:: else ->
		printf("%d: asks for %d on revision %d\n", id, wanted, r.revision);
		r.asked = (HISTORY -> r.asked : 0) | bit_of(wanted);
		r.wait = WAIT_WRITE;
		r.cancelled = false;
		me.out = (INTENT -> OUT_HELD : OUT_QUEUED);
		me.recorded = false;
		me.target = wanted;
		me.carries = r.revision
	fi;
	wanted = 0
}

inline forget_call()
{
	me.out = OUT_NOTHING;
	me.target = 0;
	me.carries = 0;
	me.recorded = false;
	me.answer = NO_ANSWER;
	r.wait = WAIT_NOTHING;
	r.cancelled = false
}

inline write_succeeded()
{
	traffic_confirm(me.target, me.saw_revision);
	me.saw_revision = 0;
	if
	:: r.live == (r.goal_home -> HOME : r.step) -> landed()
	:: else -> r.traffic = true
	fi;
	forget_call()
}

inline write_conflicted()
{
	r.look = true;
	forget_call()
}

inline write_unavailable()
{
	if
	:: !r.unsure -> r.asked = 0
	:: else
	fi;
	forget_call()
}

/* The call is given up: not applied, applied, or applied later. */
inline write_unknown()
{
	if
	:: me.answer == NO_ANSWER && (!REVISION || me.carries == revision) -> late = late | bit_of(me.target)
	:: else
	fi;
	me.saw_revision = 0;
	if
	:: UNKNOWN ->
		r.unsure = true;
		r.look = true;
		forget_call()
	:: else -> write_unavailable()
	fi
}

inline found_foreign()
{
	printf("%d: that is somebody else's\n", id);
	assert(!CHECK_BLOCKED || blocked_for_a_reason);
	if
	:: r.reopened ->
		r.goal_home = false;
		r.phase = SUCCEEDED
	:: else -> r.phase = BLOCKED
	fi;
	r.wait = WAIT_NOTHING;
	r.look = false;
	r.take_over = false
}

#define is_taken_back (TAKEN_BACK && !r.goal_home && r.unsure && me.saw_revision != r.revision)
#define is_same	   (me.saw == r.live && !is_taken_back)
#define is_home_already (r.goal_home && me.saw == HOME)
#define is_ours	   (is_same || holds(r.asked, me.saw) || is_home_already || !COMPARE)
#define is_old	   (OLD_VIEWS && r.old_views < PATIENCE && me.saw_revision == r.old_revision)
#define is_finished (r.finishing && r.applied && !r.goal_home && r.step == TOP && !bad)

inline look_succeeded()
{
	printf("%d: sees %d, revision %d (left %d, revision %d; asked for, as bits: %d)\n",
	       id, me.saw, me.saw_revision, r.live, r.revision, r.asked);
	r.wait = WAIT_NOTHING;
	if
	:: is_old -> r.old_views = (PATIENCE > 3 -> 0 : r.old_views + 1) /* looks again, later */
	:: !is_old && !is_ours && !r.take_over -> found_foreign()
	:: !is_old && !is_ours && r.take_over ->
		if
		:: me.saw == alias -> /* the operator's word is for what it holds */
			foreign = false;
			taken_back = false
		:: else
		fi;
		traffic_confirm(me.saw, me.saw_revision);
		r.applied = false;
		r.look = false;
		r.reopened = false;
		r.take_over = false
	:: !is_old && is_ours ->
		if
		:: !is_same || me.saw_revision != r.revision -> traffic_confirm(me.saw, me.saw_revision)
		:: else
		fi;
		r.look = false;
		r.take_over = false;
		if
		:: is_finished -> ends_well()
		:: else -> r.reopened = false
		fi
	fi;
	if
	:: !r.look -> r.old_views = 0
	:: else
	fi;
	if
	:: r.goal_home && r.live != HOME -> r.traffic = true
	:: else
	fi;
	me.sight = SIGHT_NONE;
	me.saw = 0;
	me.saw_revision = 0
}

inline traffic_look()
{
	printf("%d: looks\n", id);
	r.wait = WAIT_READ;
	me.sight = SIGHT_DUE
}

inline traffic_go_home()
{
	printf("%d: decides to go home\n", id);
	r.goal_home = true;
	if
	:: r.wait == WAIT_NOTHING && !r.unsure && !r.look && !r.traffic && r.live == HOME -> ends_back()
	:: else ->
		if
		:: r.wait == WAIT_WRITE -> r.cancelled = true
		:: else
		fi
	fi
}

inline take_resumed()
{
	if
	:: r.wait == WAIT_WRITE && UNSURE_RESUMED -> r.unsure = true
	:: else
	fi;
	if
	:: r.phase == RUNNING && LOOK_RESUMED -> r.look = true
	:: r.phase == RUNNING && !LOOK_RESUMED && r.wait == WAIT_WRITE ->
		r.live = (r.goal_home -> HOME : r.step);
		r.unsure = false
	:: else
	fi;
	r.wait = WAIT_NOTHING;
	r.cancelled = false
}

inline start()
{
	owner = id;
	copy(r, record);
	me.alive = true;
	take_resumed();
	commit()
}

/* --- processes --- */

proctype engine(bit id)
{
	byte wanted;
	bool was_home;
end:	do
	/* life: killed at any instant, started again by the service manager */
	:: d_step { me.alive && owner == id && may_fail -> faults++; printf("%d: is killed\n", id); vanish() }
	:: d_step { !me.alive && owner == id && !disk_fails -> printf("%d: starts again\n", id); start() }
	/* a second daemon takes the state over while the first one hangs: it goes on at any time, with what it had */
	:: d_step { id == 1 && owner == 0 && daemon[0].alive && !disk_fails && may_fail ->
		faults++; printf("1: takes over, while 0 hangs\n"); start() }
	/* what could not be recorded is tried again */
	:: d_step { me.alive && me.dirty && !disk_fails -> printf("%d: records what it could not\n", id); commit() }

	/* turn_proceed() */
	:: d_step {
		me.alive && r.phase == RUNNING && r.wait == WAIT_NOTHING && r.look ->
			traffic_look(); commit() }
	:: d_step {
		me.alive && r.phase == RUNNING && r.wait == WAIT_NOTHING && !r.look && (r.goal_home || !r.applied) ->
			traffic_write();
			if
			:: INTENT || me.out != OUT_QUEUED -> commit()
			:: else
			fi }
	/* watch_decide(): the weight has baked, and passes */
	:: d_step {
		me.alive && r.phase == RUNNING && r.wait == WAIT_NOTHING && !r.look && !r.goal_home && r.applied &&
		!bad && r.step < TOP ->
			r.step = r.step + 1;
			r.applied = false;
			commit() }
	:: d_step {
		me.alive && r.phase == RUNNING && r.wait == WAIT_NOTHING && !r.look && !r.goal_home && r.applied &&
		!bad && r.step == TOP ->
			missed = unseen && alias != TOP && owner == id;
			if
			:: LAST_LOOK ->
				r.finishing = true;
				r.look = true
			:: else -> ends_well()
			fi;
			commit() }

	/* UpdateAlias: dispatch.c */
	:: d_step {
		me.alive && me.out == OUT_QUEUED ->
			assert(!CHECK_INTENT || intent_was_durable);
			assert(nothing_forward_leaves_after_rollback);
			printf("%d: sends %d on revision %d\n", id, me.target, me.carries);
			me.out = OUT_WIRE }
	:: d_step { me.alive && me.out == OUT_QUEUED && may_fail ->
			faults++; printf("%d: its call is refused, for now\n", id); write_unavailable(); commit() }
	/* traffic_written() */
	:: d_step { me.alive && me.answer == ANSWER_OK ->
			printf("%d: hears that %d holds\n", id, me.target); write_succeeded(); commit() }
	:: d_step { me.alive && me.answer == CONFLICT ->
			printf("%d: hears of a conflict\n", id); write_conflicted(); commit() }
	:: d_step { me.alive && me.answer == UNAVAILABLE ->
			printf("%d: has its call back\n", id); write_unavailable(); commit() }
	:: d_step { me.alive && me.out == OUT_WIRE && may_fail ->
			faults++; printf("%d: hears nothing\n", id); write_unknown(); commit() }

	/* GetAlias, traffic_looked() */
	:: d_step {
		me.alive && me.sight == SIGHT_DUE ->
			me.sight = SIGHT_HAD;
			me.saw = alias;
			me.saw_revision = revision;
			if
			:: owner == id -> unseen = false; missed = false
			:: else
			fi }
	:: d_step {
		me.alive && me.sight == SIGHT_DUE && STALE && may_fail && past_revision != 0 ->
			faults++;
			unseen = unseen || by_human;
			missed = false;
			me.sight = SIGHT_HAD;
			me.saw = past;
			me.saw_revision = past_revision }
	:: d_step { me.alive && me.sight == SIGHT_HAD -> look_succeeded(); commit() }

	/* watch_failed() */
	:: d_step {
		me.alive && r.phase == RUNNING && !r.goal_home && r.traffic && bad ->
			traffic_go_home();
			commit();
			call_back();
			failed = true }
	/* command_take() */
	:: d_step {
		me.alive && owner == id && r.phase == RUNNING && !r.goal_home && commands < COMMANDS ->
			commands++;
			printf("%d: is told to roll back\n", id);
			traffic_go_home();
			commit();
			call_back();
			failed = failed || !me.dirty }
	:: d_step {
		me.alive && owner == id && r.phase == BLOCKED && commands < COMMANDS ->
			commands++;
			printf("%d: is told to roll back, though blocked\n", id);
			r.take_over = true;
			r.look = true;
			r.phase = RUNNING;
			traffic_go_home();
			commit();
			failed = failed || !me.dirty }
	:: d_step {
		me.alive && owner == id && r.phase == BLOCKED && (r.traffic || r.unsure || r.goal_home) &&
		commands < COMMANDS ->
			commands++;
			printf("%d: is told to go on, though blocked\n", id);
			r.take_over = true;
			r.look = true;
			r.phase = RUNNING;
			commit() }
	:: d_step {
		me.alive && owner == id && r.phase == SUCCEEDED && commands < COMMANDS ->
			commands++;
			printf("%d: is told to roll back what succeeded\n", id);
			r.goal_home = true;
			r.reopened = true;
			r.look = true;
			r.phase = RUNNING;
			commit();
			failed = failed || !me.dirty }
	od
}

#define on_wire(n) (daemon[n].out == OUT_WIRE && daemon[n].answer == NO_ANSWER)

inline serve(n)
{
	if
	:: !REVISION || daemon[n].carries == revision ->
		update_applies(daemon[n].target);
		daemon[n].answer = ANSWER_OK;
		daemon[n].saw_revision = revision
	:: else -> daemon[n].answer = CONFLICT
	fi
}

inline serve_late(what)
{
	printf("late: ");
	late = late & ~bit_of(what);
	update_applies(what)
}

proctype aws()
{
end:	do
	:: d_step { on_wire(0) -> serve(0) }
	:: d_step { on_wire(1) -> serve(1) }
	:: d_step { holds(late, 0) -> serve_late(0) }
	:: d_step { holds(late, 1) -> serve_late(1) }
	:: d_step { holds(late, 2) -> serve_late(2) }
	od
}

inline write_by_hand(content)
{
	printf("by hand: ");
	humans++;
	human_wrote = true;
	unseen = true;
	if
	::	content != alias ->
		taken_back = (content == record.live && !holds(intents, content) && !by_human && alias != HOME);
		foreign = !(content == record.live || content == daemon[owner].state.live || holds(intents, content))
	:: else
	fi;
	by_human = true;
	alias_becomes(content)
}

proctype human()
{
end:	do
	:: d_step { humans < HUMANS -> write_by_hand(HOME) }
	:: d_step { humans < HUMANS -> write_by_hand(1) }
	:: d_step { humans < HUMANS -> write_by_hand(TOP) }
	:: d_step { humans < HUMANS -> write_by_hand(OTHER) }
	od
}

proctype disk()
{
end:	do
	:: d_step { !disk_fails && may_fail -> faults++; disk_fails = true; printf("the disk fails\n") }
	:: d_step { !disk_fails && may_fail -> faults++; disk_fails = true; disk_is_lost = true;
		printf("the disk fails for good\n") }
	:: d_step { disk_fails && !disk_is_lost -> disk_fails = false; printf("the disk is well again\n") }
	od
}

proctype canary()
{
end:	do
	:: d_step { !bad && alias != HOME && alias <= TOP && record.phase == RUNNING ->
		bad = true;
		printf("the canary fails\n") }
	od
}

init
{
	d_step {
		revision = 1;
		record.step = 1;
		record.revision = 1;
		owner = 0;
		daemon[0].alive = true;
		copy(daemon[0].state, record)
	};
	atomic {
		run aws();
		run human();
		run disk();
		run canary();
		run engine(0);
		run engine(1)
	}
}

#define at_rest (daemon[owner].alive && daemon[owner].state.phase != RUNNING)
#define without_a_disk (disk_is_lost && !daemon[owner].alive)

ltl rollback_ends { [] (failed -> <> (at_rest || without_a_disk)) }
