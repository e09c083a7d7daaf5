import { DENSE, type Effort, FAST, PACKED } from '../block/effort.js';

/** What the flusher saw of the block that it has just stored. */
export interface BlockObservation {
  /** Share of the fullest lane that waits to be drained, 0 to 1. */
  backlog: number;
  /** Share of the time since the block before that went into making and storing this one, 0 to 1. */
  busy: number;
  /** Bytes of the block for each record. */
  recordBytes: number;
}

/**
 * Lanes that are half full are pressure: blocks grow, until the lanes are nearly empty again. Where that isn't enough, the effort falls, until
 * they are half empty.
 */
const PRESSURE = 1 / 2;
const RELIEF = 1 / 8;
const DISTRESS = 7 / 8;
/** So little to do is idleness, until there is this much to do. Dense blocks take some ten times as long. */
const IDLE = 0.02;
const NOT_IDLE = 0.3;
/** Dense blocks have to save this share, or are left alone for so many blocks. */
const DENSE_PAYS = 0.02;
const DENSE_WAIT_BLOCKS = 64;
/** Blocks under pressure have up to so many times the usual records: what each costs on its own is shared by more. */
export const GROWTH = 4;

/** How hard the next block is worked on, by what the blocks before it say. Knows no clock and no lane, so that a test can drive it. */
export class AdaptiveEffort {
  #effort: Effort = FAST;
  #reason = 'start';
  /** Bytes a record of the last fast block. */
  #fastBytes = 0;
  #denseAfter = 0;
  #isPressed = false;

  get effort(): Effort {
    return this.#effort;
  }

  get reason(): string {
    return this.#reason;
  }

  /** Records that the next block may have, as a multiple of the usual. */
  get growth(): number {
    return this.#isPressed ? GROWTH : 1;
  }

  observe({ backlog, busy, recordBytes }: BlockObservation): void {
    if (this.#denseAfter > 0) this.#denseAfter--;
    if (this.#effort === FAST) this.#fastBytes = recordBytes;
    if (backlog >= DISTRESS) {
      this.#isPressed = true;
      this.#turn(PACKED, `pressure: a lane was ${percent(backlog)} full`);
    } else if (backlog >= PRESSURE) {
      this.#isPressed = true;
      if (this.#effort === DENSE) this.#turn(FAST, `pressure: a lane was ${percent(backlog)} full`);
    } else if (this.#isPressed) {
      if (this.#effort === PACKED) this.#turn(FAST, `the pressure falls: a lane was ${percent(backlog)} full`);
      this.#isPressed = backlog > RELIEF;
    } else if (this.#effort === DENSE) {
      if (busy >= NOT_IDLE) this.#turn(FAST, `no longer idle: ${percent(busy)} of the time was needed`);
      else if (recordBytes > this.#fastBytes * (1 - DENSE_PAYS)) {
        this.#denseAfter = DENSE_WAIT_BLOCKS;
        this.#turn(FAST, 'dense blocks were hardly smaller');
      }
    } else if (busy <= IDLE && this.#denseAfter === 0) {
      this.#turn(DENSE, `idle: ${percent(busy)} of the time was needed`);
    }
  }

  #turn(effort: Effort, reason: string): void {
    if (effort === this.#effort) return;
    this.#effort = effort;
    this.#reason = reason;
  }
}

const percent = (share: number) => `${Math.round(100 * share)} %`;
