/* SPDX-License-Identifier: MIT
 *
 * To whom a task belongs that was sent to a worker process (ring.h, proc.c,
 * serve_receive.c): the worker begins it, or the program takes it back, and
 * exactly one of them succeeds, also when the slot has been used again, and when
 * the worker is killed at any instruction.
 *
 * -DOLD: slots without the number of their use; a swap that comes late hits the
 * next task. */
#define SLOTS 2
#define TASKS 4

#define FREE 0
#define SENT 1
#define BEGUN 2
#define BACK 3

#ifdef OLD
#define USE(n) 0
#else
#define USE(n) ((n) / SLOTS + 1)
#endif
#define WORD(n, state) (USE(n) * 4 + (state))

byte slot[SLOTS];        /* shared: the use and the state */
byte runs[TASKS];        /* how often each has been run */
bool back[TASKS];        /* the program has it again */
bool killed, gone;       /* it is to end; it has ended */
chan ring = [TASKS] of { byte };  /* what was sent, in order */

/* Compare and swap. */
inline swap(place, from, to, done) {
  atomic {
    done = (place == from);
    if
    :: done -> place = to
    :: else -> skip
    fi
  }
}

/* begin in serve_receive.c. What it has read of the slot may be old when it swaps. */
proctype worker() {
  byte task, word;
  bool ok;
  do
  :: !killed && ring?[task] ->
    ring?task;
    word = slot[task % SLOTS];
    ok = false;
    if
    :: killed -> break
    :: !killed && word % 4 == SENT ->
      swap(slot[task % SLOTS], word, word - SENT + BEGUN, ok)
    :: !killed && word % 4 != SENT -> skip
    fi;
    if
    :: ok -> runs[task]++
    :: else -> slot[task % SLOTS] = word - word % 4 /* it can be used again */
    fi
  :: killed -> break
  od;
  gone = true
}

proctype program() {
  byte n, i, word;
  bool ok;
  do
  :: n < TASKS ->
    word = slot[n % SLOTS];
    if
    :: word % 4 == FREE || word % 4 == BEGUN -> /* has_slot */
      slot[n % SLOTS] = WORD(n, SENT);
      ring!n;
      n++
    :: n > 0 -> /* changes its mind about one of those that it has sent */
      select (i : 0 .. 3);
      if
      :: i < n && !back[i] ->
        swap(slot[i % SLOTS], WORD(i, SENT), WORD(i, BACK), ok);
        back[i] = ok
      :: else -> skip
      fi
    :: else -> skip
    fi
  :: n == TASKS -> break
  :: true -> killed = true; break
  od;
  if
  :: true -> killed = true
  :: true -> skip
  fi;
  if
  :: killed ->
    /* sort_out, when it has ended: what it had begun is lost */
    gone;
    for (i : 0 .. TASKS - 1) {
      if
      :: i < n && !back[i] ->
        swap(slot[i % SLOTS], WORD(i, SENT), WORD(i, BACK), ok);
        back[i] = ok
      :: else -> skip
      fi;
      assert(!(back[i] && runs[i] > 0));
      assert(runs[i] <= 1)
    }
  :: else ->
    for (i : 0 .. TASKS - 1) {
      runs[i] == 1 || back[i]; /* for ever: a task is lost */
      assert(!(back[i] && runs[i] > 0))
    }
    empty(ring);
    killed = true /* it is to end */
  fi
}

init {
  atomic {
    run worker();
    run program()
  }
}
