// Who closes the tape, also one whose flusher failed: src/tape.ts, #close; src/flush/remote.ts, #fail.
import type { Fork } from './explore.js';
import {
  C,
  CLOSER,
  CLOSING,
  EARLY_TAIL,
  F,
  FAILED,
  FLUSHER,
  LANE_GONE,
  type Lane,
  NEVER,
  P,
  PRODUCER,
  R,
  RECOVERY,
  SEALED_AT,
  TAIL,
  TAPE,
} from './lane.js';

export class Closer {
  readonly #lane: Lane;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  expand(s: Uint8Array, fork: Fork): void {
    const { closes, fails, reopens } = this.#lane.setup;
    if (fails && s[FLUSHER] < F.closed) {
      const n = fork('flusher: its thread ends', true);
      n[FLUSHER] = F.dead;
      this.#lane.forgetFlusher(n);
    }
    // remote.ts, #fail.
    if (s[FLUSHER] === F.dead) {
      const n = fork('closer: #fail: store state FAILED');
      n[TAPE] = FAILED;
      n[FLUSHER] = F.lost;
    }
    // tape.ts, #close.
    switch (s[CLOSER]) {
      case C.open: {
        if (!closes) return;
        if (this.#lane.is['closer reads tail before it says so']) {
          const n = fork('closer: load tail', true);
          n[EARLY_TAIL] = n[TAIL];
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
        n[SEALED_AT] = n[EARLY_TAIL];
        n[EARLY_TAIL] = 0;
        n[CLOSER] = C.closing;
        if (n[PRODUCER] === P.closingAsleep) n[PRODUCER] = P.closingState;
        return;
      }
      case C.closing: {
        if (s[FLUSHER] === F.closed) {
          const n = fork('closer: Journal.close: remove the lane');
          n[LANE_GONE] = 1;
          n[CLOSER] = C.closed;
        } else if (s[FLUSHER] === F.lost) {
          if (this.#lane.is['taking back seals the lane']) {
            const n = fork('closer: #close: load tail');
            n[EARLY_TAIL] = n[TAIL];
            n[CLOSER] = C.sealing;
          } else this.#fail(fork);
        }
        return;
      }
      case C.sealing: {
        const n = fork('closer: #close: compareExchange sealedAt, notify');
        if (n[SEALED_AT] === NEVER) n[SEALED_AT] = n[EARLY_TAIL];
        n[EARLY_TAIL] = 0;
        if (n[PRODUCER] === P.closingAsleep) n[PRODUCER] = P.closingState;
        n[CLOSER] = C.sealed;
        return;
      }
      case C.sealed:
        this.#fail(fork);
        return;
      case C.failed:
        if (reopens && s[RECOVERY] === R.none) fork('closer: openTape', true)[RECOVERY] = R.due;
    }
  }

  #fail(fork: Fork): void {
    const n = fork('closer: #close: store state FAILED, unlock');
    n[TAPE] = FAILED;
    n[CLOSER] = C.failed;
  }
}
