/* A run's life between the database, two workers, their leashes, a sweeper, a person who cancels, and a clock.
 *
 * Each database function is one commit (d_step), after which its answer may be lost. A claim is several statements, because its lane
 * lock is what is checked. A call is sent when it commits: one sent earlier only makes the worker's own deadline earlier. Time is
 * counted in ticks that may come between any two steps; assumed of it is only that a leash kills faster than a tick lasts (in the
 * worker: a tenth of the lease, at most a second). Workers die at any step, connections break, answers get lost, people cancel: how
 * often is bounded (TROUBLES), when and which is not. One worker stays.
 *
 * Two stories: two runs wait in one lane (default), or one run and its successor (WITH_SUCCESSOR). Left out, because they change
 * nothing here: priorities, steps, events, artifacts, batches. tools/check-model runs it, and the variants that each must be found:
 * NO_FENCE, NO_LANE_LOCK, SPAWN_BEFORE_START, DEADLINE_FROM_ANSWER, and NO_SWEEP (with LIVENESS).
 * The functions: supabase/migrations/ *_worker_claims, *_worker_leases, *_worker_finish, *_sweep, *_run_commands.
 */

#ifndef TROUBLES
#define TROUBLES 2
#endif

#define CAPACITY 1
#define WORKERS 2
#define RUNS 2
#define NOBODY WORKERS
#define NOTHING RUNS
#ifndef USABLE
#define USABLE 2      /* ticks of its lease that a worker uses, counted from the sending of the last answered heartbeat */
#endif
#define LEASE (USABLE + 1)

#define ABSENT 0
#define QUEUED 1
#define CLAIMED 2
#define RUNNING 3
#define FINISHED 4    /* by its worker, whatever came out */
#define TAKEN 5       /* from it: by the sweep, by cancelling it in the queue or by force */

#ifdef DEADLINE_FROM_ANSWER
#define DEADLINE(since) USABLE
#else
#define DEADLINE(since) since
#endif

/* What a call answers a worker. */
#define GO 1
#define STOP 2

#define held(r) (status[r] == CLAIMED || status[r] == RUNNING)
#define ended(r) (status[r] >= FINISHED)

/* The database. */
byte status[RUNS];
byte holder[RUNS];         /* whose claim token it is; a run is claimed once, so the worker stands for the token */
bool started[RUNS];        /* started_at is set */
bool cancel_asked[RUNS];
byte lease[RUNS];          /* ticks left */
byte lane_lock = NOBODY;
bool missing[WORKERS];     /* its own connection is gone, for longer than the grace */

/* The workers' machines. */
bool dead[WORKERS];
byte mine[WORKERS];        /* the run this worker works on */
byte asked[WORKERS];       /* ticks left, counted from the first sending of the claim under way */
byte sent[WORKERS];        /* the same of the heartbeat under way */
bool process[RUNS];        /* something that the run started is there */
byte until[RUNS];          /* ticks until the leash kills it, unless the worker is heard of */
bool stop[RUNS];           /* the worker told the leash to end it */

byte troubles = TROUBLES;  /* still to come */

/* Ghosts: only looked at by what is checked. */
byte spawns[RUNS];
byte final[RUNS];          /* the first terminal status */

#define taken() ((held(0) -> 1 : 0) + (held(1) -> 1 : 0))

#ifdef NO_FENCE
#define accepted(r, w) true
#else
#define accepted(r, w) (holder[r] == w && held(r))
#endif

/* A worker's write that the database takes. */
inline wrote(r, w) {
  assert(holder[r] == w);
  assert(final[r] == 0)
}

inline end_run(r, how, lost) {
  if
  :: lost && r == 0 && !started[r] && status[1] == ABSENT -> status[1] = QUEUED
  :: else
  fi;
  status[r] = how;
  final[r] = (final[r] == 0 -> how : final[r]);
  lease[r] = 0;
  cancel_asked[r] = false
}

inline spawn(r) {
  assert(started[r]);
  process[r] = true;
  spawns[r]++
}

#define answer_lost atomic { troubles > 0 -> troubles-- }

/* The worker has no more to do with its run. What nothing reads any more is forgotten, so that there are fewer states. */
inline let_go(w) {
  if
  :: my_run != NOTHING && ended(my_run) && holder[my_run] == w && spawns[my_run] <= started[my_run] ->
    holder[my_run] = NOBODY; started[my_run] = false; spawns[my_run] = 0;
    until[my_run] = 0; stop[my_run] = false
  :: else
  fi;
  mine[w] = NOTHING; asked[w] = 0; my_run = NOTHING; verdict = 0; slots = 0
}

proctype Worker(byte w) {
  byte my_run = NOTHING;
  byte slots;
  byte verdict;
  {
end:
    do
    /* claim_runs: lock the lane and count its slots; pick a run, commit. */
    :: d_step {
        (status[0] == QUEUED || status[1] == QUEUED) && lane_lock == NOBODY ->
#ifndef NO_LANE_LOCK
        lane_lock = w;
#endif
        slots = (taken() < CAPACITY -> CAPACITY - taken() : 0)
      };
      d_step {
        if
        :: slots > 0 && status[0] == QUEUED -> my_run = 0
        :: slots > 0 && status[0] != QUEUED && status[1] == QUEUED -> my_run = 1
        :: else
        fi;
        if
        :: my_run != NOTHING ->
          assert(holder[my_run] == NOBODY && final[my_run] == 0);
          status[my_run] = CLAIMED; holder[my_run] = w; lease[my_run] = LEASE; asked[w] = USABLE
        :: else
        fi;
        slots = 0;
        lane_lock = NOBODY
      };
      do
      :: my_run == NOTHING -> goto next
      :: atomic { my_run != NOTHING && troubles > 0 -> troubles-- } /* asked for again with the same request: the same answer */
      :: d_step { my_run != NOTHING -> until[my_run] = DEADLINE(asked[w]); mine[w] = my_run; asked[w] = 0 }; break
      od;
#ifdef SPAWN_BEFORE_START
      if
      :: atomic { until[my_run] > 0 && !stop[my_run] -> spawn(my_run) }
      :: until[my_run] == 0 || stop[my_run]
      fi;
#endif
      /* start_runs: committed before the first process. */
      do
      :: d_step {
          if
          :: accepted(my_run, w) && status[my_run] == CLAIMED && lease[my_run] > 0 && !cancel_asked[my_run] ->
            wrote(my_run, w); status[my_run] = RUNNING; started[my_run] = true; lease[my_run] = LEASE
          :: else
          fi;
          verdict = (accepted(my_run, w) && lease[my_run] > 0 && status[my_run] == RUNNING -> GO : STOP)
        };
        if
        :: answer_lost
        :: break
        fi
      od;
      if
      :: verdict == GO ->
        if
        :: d_step { until[my_run] > 0 && !stop[my_run] -> spawn(my_run) };
          !process[my_run]
        :: until[my_run] == 0 || stop[my_run]
        fi
      :: else
      fi;
      /* finish_runs: tried also when the lease may be over; the database decides. */
      do
      :: d_step {
          if
          :: accepted(my_run, w) -> wrote(my_run, w); end_run(my_run, FINISHED, false)
          :: else
          fi
        };
        if
        :: answer_lost
        :: break
        fi
      od;
next: skip;
      d_step { let_go(w) }
    od
  } unless {
    /* A dead worker's transaction is rolled back, and its leash kills what it runs. */
    d_step { dead[w] -> lane_lock = (lane_lock == w -> NOBODY : lane_lock); let_go(w) }
  }
}

/* The heartbeat of a worker: its own connection and task. */
proctype Heartbeat(byte w) {
  byte my_run = NOTHING;
  byte verdict;
  {
end:
    do
    :: d_step {
        mine[w] != NOTHING && !stop[mine[w]] && (until[mine[w]] < USABLE || cancel_asked[mine[w]]) ->
        my_run = mine[w];
        sent[w] = USABLE;
        if
        :: holder[my_run] == w && held(my_run) -> lease[my_run] = LEASE; verdict = (cancel_asked[my_run] -> STOP : GO)
        :: else -> verdict = STOP
        fi
      };
      if
      :: answer_lost
      :: d_step {
          if
          :: mine[w] != my_run
          :: mine[w] == my_run && verdict == STOP -> stop[my_run] = true
          :: mine[w] == my_run && verdict == GO && until[my_run] > 0 ->
            until[my_run] = (DEADLINE(sent[w]) > until[my_run] -> DEADLINE(sent[w]) : until[my_run])
          :: else
          fi
        }
      fi;
      d_step { my_run = NOTHING; verdict = 0; sent[w] = 0 }
    od
  } unless { d_step { dead[w] -> my_run = NOTHING; verdict = 0; sent[w] = 0 } }
}

/* The leash of each run's processes, and the processes themselves, which end some time. */
proctype Leash(byte r) {
end:
  do
  :: d_step { process[r] && (until[r] == 0 || stop[r]) -> process[r] = false }
  :: d_step { dead[0] && holder[r] == 0 && (process[r] || until[r] > 0) -> process[r] = false; until[r] = 0; stop[r] = false }
  :: d_step { dead[1] && holder[r] == 1 && (process[r] || until[r] > 0) -> process[r] = false; until[r] = 0; stop[r] = false }
  :: d_step { process[r] -> process[r] = false }
  od
}

/* sweep_runs, by whichever worker or cron: one run at a time here, so that anything may come between. */
#define is_missing(r) ((holder[r] == 0 && missing[0]) || (holder[r] == 1 && missing[1]))
proctype Sweeper() {
#ifndef NO_SWEEP
end:
  do
  :: d_step { held(0) && lease[0] == 0 -> assert(!process[0]); end_run(0, TAKEN, true) }
  :: d_step { held(1) && lease[1] == 0 -> assert(!process[1]); end_run(1, TAKEN, true) }
  :: d_step { held(0) && is_missing(0) -> end_run(0, TAKEN, true) }
  :: d_step { held(1) && is_missing(1) -> end_run(1, TAKEN, true) }
  od
#else
  skip
#endif
}

/* cancel_run: of what is queued at once, of what is held an intent, or by force the end. */
inline cancel(r, force) {
  troubles--;
  if
  :: status[r] == QUEUED || force -> end_run(r, TAKEN, false)
  :: else -> cancel_asked[r] = true
  fi
}

#define cancellable(r) (troubles > 0 && status[r] != ABSENT && !ended(r))
proctype Person() {
end:
  do
  :: d_step { cancellable(0) && !cancel_asked[0] -> cancel(0, false) }
  :: d_step { cancellable(1) && !cancel_asked[1] -> cancel(1, false) }
  :: d_step { cancellable(0) && held(0) -> cancel(0, true) }
  :: d_step { cancellable(1) && held(1) -> cancel(1, true) }
  od
}

/* What goes wrong, at any moment. */
proctype Trouble() {
end:
  do
  :: d_step { troubles > 0 && !dead[0] && !dead[1] -> troubles--; dead[0] = true; missing[0] = true }
  :: d_step { troubles > 0 && !dead[0] && !dead[1] -> troubles--; dead[1] = true; missing[1] = true }
  :: d_step { troubles > 0 && !missing[0] -> troubles--; missing[0] = true }
  :: d_step { missing[0] && !dead[0] -> missing[0] = false }
  od
}

/* A tick comes when no leash is late: killing is faster than a tick. */
#define late(r) (process[r] && until[r] == 0)
#define counts(r) (lease[r] + until[r] > 0)
inline passes(x) { x = (x > 0 -> x - 1 : 0) }
proctype Clock() {
end:
  do
  :: d_step {
      !late(0) && !late(1) && (counts(0) || counts(1)) ->
      passes(lease[0]); passes(lease[1]); passes(until[0]); passes(until[1]);
      passes(asked[0]); passes(asked[1]); passes(sent[0]); passes(sent[1])
    }
  od
}

/* True of every state: the lane's capacity, one spawn and only of what has started, ends that stay. */
#define one_spawn(r) (spawns[r] <= 1 && (spawns[r] == 0 || started[r]))
#define stays(r) (final[r] == 0 || status[r] == final[r])
#define sound (taken() <= CAPACITY && one_spawn(0) && one_spawn(1) && stays(0) && stays(1))
proctype Invariants() {
end:
  atomic { !sound -> assert(sound) }
}

init {
  atomic {
    status[0] = QUEUED;
#ifndef WITH_SUCCESSOR
    status[1] = QUEUED;
#endif
    holder[0] = NOBODY; holder[1] = NOBODY; mine[0] = NOTHING; mine[1] = NOTHING;
    run Worker(0); run Worker(1); run Heartbeat(0); run Heartbeat(1); run Leash(0); run Leash(1);
    run Sweeper(); run Person(); run Trouble(); run Clock(); run Invariants()
  }
}

/* With every process that can go on going on (weak fairness), each run ends: also one whose worker is dead, also a successor. */
#ifdef LIVENESS
#define orphan(r) (held(r) && ((holder[r] == 0 && dead[0]) || (holder[r] == 1 && dead[1])))
ltl runs_end { <> ended(0) && [] (status[1] == QUEUED -> <> ended(1)) && [] (orphan(0) -> <> ended(0)) }
#endif
