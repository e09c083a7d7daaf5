// Who closes the tape, also one whose flusher failed: src/tape.ts, #close; src/flush/remote.ts, #fail; src/journal/stopping.ts.
import type { Fork } from './explore.js';
import {
  C,
  CLOSER,
  CLOSER_TAIL,
  CLOSING,
  F,
  FAILED,
  FLUSHER,
  LANE_GONE,
  type Lane,
  NEVER,
  R,
  RECOVERY,
  SEALED_AT,
  TAIL,
  TAPE,
  WAITING,
} from './lane.js';
import type { Producer } from './producer.js';

export class Closer {
  readonly #lane: Lane;
  readonly #producer: Producer;

  constructor(lane: Lane, producer: Producer) {
    this.#lane = lane;
    this.#producer = producer;
  }

  expand(s: Uint8Array, fork: Fork): void {
    const { closes, fails, reopens } = this.#lane.setup;
    if (fails && s[FLUSHER] < F.closed) {
      const n = fork('flusher: its thread ends', true);
      n[FLUSHER] = F.dead;
      this.#lane.forgetFlusher(n);
    }
    const wakes = !this.#lane.is['failing wakes nobody'];
    // remote.ts, #fail: stopping.ts, failTape. worker.ts does the same before, where it can.
    if (s[FLUSHER] === F.dead) {
      const n = fork('closer: #fail: store state FAILED');
      n[TAPE] = FAILED;
      n[FLUSHER] = wakes ? F.failed : F.lost;
    } else if (s[FLUSHER] === F.failed) {
      const n = fork('closer: #fail: store waiting 0');
      n[WAITING] = 0;
      n[FLUSHER] = F.unwoken;
    } else if (s[FLUSHER] === F.unwoken) {
      const n = fork('closer: #fail: notify');
      this.#producer.wakeIfWaiting(n);
      this.#producer.wakeIfClosing(n);
      n[FLUSHER] = F.lost;
    }
    // tape.ts, #close.
    switch (s[CLOSER]) {
      case C.open: {
        if (!closes) return;
        if (this.#lane.is['closer reads tail before it says so']) {
          const n = fork('closer: load tail', true);
          n[CLOSER_TAIL] = n[TAIL];
          n[CLOSER] = C.readTail;
          return;
        }
        const n = fork('closer: #close: store state CLOSING', true);
        n[TAPE] = CLOSING;
        n[CLOSER] = C.closing;
        return;
      }
      case C.readTail: {
        const n = fork('closer: #close: store state CLOSING');
        n[TAPE] = CLOSING;
        n[CLOSER] = C.sealEarly;
        return;
      }
      case C.sealEarly: {
        const n = fork('closer: store sealedAt');
        n[SEALED_AT] = n[CLOSER_TAIL];
        n[CLOSER_TAIL] = 0;
        n[CLOSER] = C.closing;
        this.#producer.wakeIfClosing(n);
        return;
      }
      case C.closing: {
        if (s[FLUSHER] === F.closed) {
          const n = fork('closer: Journal.close: remove the lane');
          n[LANE_GONE] = 1;
          n[CLOSER] = C.closed;
        } else if (s[FLUSHER] === F.lost) {
          if (this.#lane.is['a close that fails does not stop the lane']) this.#fail(fork);
          else {
            const n = fork('closer: stopLanes: load tail');
            n[CLOSER_TAIL] = n[TAIL];
            n[CLOSER] = C.stopLane;
          }
        }
        return;
      }
      case C.stopLane: {
        const n = fork('closer: stopLanes: compareExchange sealedAt');
        if (n[SEALED_AT] === NEVER) n[SEALED_AT] = n[CLOSER_TAIL];
        n[CLOSER_TAIL] = 0;
        n[CLOSER] = C.stopped;
        return;
      }
      case C.stopped: {
        this.#producer.wakeIfClosing(this.#fail(fork));
        return;
      }
      case C.saidSo: {
        const n = fork('closer: failTape: store waiting 0');
        n[WAITING] = 0;
        n[CLOSER] = C.unwoken;
        return;
      }
      case C.unwoken: {
        const n = fork('closer: failTape: notify, unlock');
        this.#producer.wakeIfWaiting(n);
        this.#producer.wakeIfClosing(n);
        n[CLOSER] = C.failed;
        return;
      }
      case C.failed:
        if (reopens && s[RECOVERY] === R.none) fork('closer: openTape', true)[RECOVERY] = R.due;
    }
  }

  #fail(fork: Fork): Uint8Array {
    const n = fork('closer: stopLanes: notify; failTape: store state FAILED');
    n[TAPE] = FAILED;
    n[CLOSER] = this.#lane.is['failing wakes nobody'] ? C.failed : C.saidSo;
    return n;
  }
}
