/* SPDX-License-Identifier: MIT
 *
 * How the workers of a thread pool go to sleep and are woken (runtime/pool/internal.h,
 * worker.c, sched.c, lf_pool_rouse in wake.c).
 *
 * The script has something become ready that worker 0 alone can go on with,
 * pushes a task that any worker can run, and waits for both; and what is ready
 * waits for the tasks: whoever is kept by it cannot run them. All of that in
 * any order. A state in which nobody can go on, and the script still waits, is
 * an error; so is a worker that sleeps beside a task for which there is a permit
 * and that nobody looks for.
 *
 * -DOLD: without tokens. Whoever is woken counts as woken for all that there is,
 * and a spinner as one who will find it, whatever they turn to. It hangs. */
#define WORKERS 2
#define TASKS 2
#define PLACES WORKERS

bit lock;
byte queued;            /* tasks in all queues */
byte done;              /* tasks that have been run */
byte busy = WORKERS;
byte seekers;           /* tokens given; OLD: spinners */
bool idle[WORKERS];     /* asleep, or about to be */
bool seeks[WORKERS];    /* has a token */
bool ready[WORKERS];    /* something is for this worker alone */
bool woken[WORKERS];    /* its parker */
bool went_on;           /* what was ready has ended */

inline take_lock() {
  atomic { lock == 0 -> lock = 1 }
}
inline give_lock() {
  lock = 0
}

/* lf_pool_rouse, under the lock: 'who' is to be woken, or WORKERS. Which of the
 * idle ones is any. */
inline rouse(who) {
  who = WORKERS;
  if
  :: seekers > 0 || busy >= PLACES -> skip
  :: else ->
    if
#ifdef OLD
    :: idle[0] -> who = 0
    :: idle[1] -> who = 1
#else
    :: idle[0] && !ready[0] -> who = 0
    :: idle[1] && !ready[1] -> who = 1
#endif
    :: else -> skip
    fi;
    if
    :: who < WORKERS ->
      idle[who] = false;
      busy++;
#ifndef OLD
      seeks[who] = true;
      seekers++;
#endif
    :: else -> skip
    fi
  fi
}

inline wake(who) {
  if
  :: who < WORKERS -> woken[who] = true
  :: else -> skip
  fi
}

/* lf_pool_rouse_more */
inline rouse_more() {
  if
  :: seekers > 0 || busy >= PLACES -> skip
  :: else ->
    take_lock();
    rouse(who);
    give_lock();
    wake(who)
  fi
}

/* pass_on: the worker turns to something. */
inline pass_on() {
#ifdef OLD
  if
  :: queued > 0 -> rouse_more() /* as take_common did, if it has left some */
  :: else -> skip
  fi
#else
  if
  :: seeks[me] ->
    seeks[me] = false;
    seekers--;
    if
    :: queued > 0 -> rouse_more()
    :: else -> skip
    fi
  :: else -> skip
  fi
#endif
}

proctype worker(byte me) {
  byte who;
  bool got;
  do
  :: true ->
    if
    :: ready[me] ->
      ready[me] = false;
#ifndef OLD
      pass_on();
#endif
      done == TASKS;
      went_on = true
    :: else ->
      take_lock();
      got = queued > 0;
      if
      :: got -> queued--
      :: else -> skip
      fi;
      give_lock();
      if
      :: got ->
        pass_on();
        done++
      :: else ->
        /* rest: spins for a while, or not at all */
        if
        :: true ->
#ifdef OLD
          seekers++;
          do
          :: queued > 0 || ready[me] -> break
          :: true -> break
          od;
          seekers--
#else
          if
          :: !seeks[me] -> seeks[me] = true; seekers++
          :: else -> skip
          fi;
          do
          :: queued > 0 || ready[me] -> break
          :: true -> break
          od
#endif
        :: true -> skip
        fi;
        take_lock();
        if
        :: queued > 0 || ready[me] -> give_lock()
        :: else ->
          /* sleep_idle */
          if
          :: seeks[me] -> seeks[me] = false; seekers--
          :: else -> skip
          fi;
          idle[me] = true;
          busy--;
          give_lock();
          if
          :: queued > 0 || ready[me] -> got = true
          :: else ->
end_asleep: atomic { woken[me] -> woken[me] = false }
          fi;
          take_lock();
          if
          :: idle[me] ->
            idle[me] = false;
            busy++;
#ifndef OLD
            if
            :: got -> seeks[me] = true; seekers++
            :: else -> skip
            fi
#endif
          :: else -> skip
          fi;
          give_lock()
        fi
      fi
    fi
  od
}

/* Another thread, by which worker 0's wait is over. */
proctype waker() {
  ready[0] = true;
  woken[0] = true
}

proctype script() {
  byte i, who;
  for (i : 1 .. TASKS) {
    if
    :: true -> /* from outside */
      take_lock();
      queued++;
      rouse(who);
      give_lock();
      wake(who)
    :: true -> /* as a worker's own, which others may take, without the lock */
      queued++;
      rouse_more()
    fi
  }
  done == TASKS && went_on
}

init {
  atomic {
    run worker(0);
    run worker(1);
    run waker();
    run script()
  }
}
