// A reader of the live lane, in another process: assembly/follow.ts. What a failed flusher has its producer take back may have been given: only
// what `append` threw CLOSED for was not.
import type { Fork } from './explore.js';
import {
  GIVEN,
  HEAD,
  type Lane,
  NEVER,
  OPEN,
  READ_AT,
  READ_LIMIT,
  READ_WORDS,
  READER,
  SEALED_AT,
  TAIL,
  TAPE,
} from './lane.js';
import { CHECKSUM, HEADER, PADDING_CHECKSUM, PADDING_HEADER, VALUE } from './words.js';

const COPIES = Array.from({ length: 256 }, (_, word) => `reader: copy word ${word}`);

/** What it is about to do. */
const L = { idle: 0, state: 1, walk: 2, sealedAt: 3, sealedAtStopping: 4, head: 5 };

export class LiveReader {
  readonly #lane: Lane;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  /** assembly/follow.ts: lookAtLanes, then walk, which copies a record word by word and looks at its checksum then. */
  expand(s: Uint8Array, fork: Fork): void {
    const { capacity } = this.#lane.setup;
    switch (s[READER]) {
      case L.idle: {
        const n = fork('reader: lookAtLanes: load tail', true);
        n[READ_LIMIT] = n[TAIL];
        n[READER] = this.#lane.is['reader does not look at the state'] ? L.sealedAt : L.state;
        return;
      }
      case L.state: {
        const n = fork('reader: lookAtLanes: load state', true);
        n[READER] = n[TAPE] === OPEN ? L.sealedAt : L.sealedAtStopping;
        return;
      }
      case L.sealedAt:
      case L.sealedAtStopping: {
        const n = fork('reader: lookAtLanes: load sealedAt', true);
        const isUnknown = s[READER] === L.sealedAtStopping && n[SEALED_AT] === NEVER;
        n[READ_LIMIT] = isUnknown ? 0 : Math.min(n[READ_LIMIT], n[SEALED_AT]);
        n[READER] = L.head;
        return;
      }
      case L.head: {
        const n = fork('reader: lookAtLanes: load head', true);
        if (n[HEAD] > n[READ_AT]) n[READ_AT] = n[HEAD];
        n[READER] = n[READ_AT] < n[READ_LIMIT] ? L.walk : L.idle;
        if (n[READER] === L.idle) n[READ_LIMIT] = 0;
        return;
      }
    }
    const position = s[READ_AT];
    const rest = capacity - (position % capacity);
    if (rest < 2) {
      const n = fork('reader: steps over the end of the ring', true);
      this.#readOn(n, rest);
      return;
    }
    if (s[READ_WORDS] === 0) {
      const n = fork(COPIES[1], true);
      const header = n[this.#lane.at(position + 1)];
      n[this.#lane.copied + 1] = header;
      n[READ_WORDS] = 1;
      const kind = this.#lane.words.kinds[header];
      const size = kind === HEADER ? this.#lane.size(this.#lane.words.of[header]) : this.#lane.words.of[header];
      // A length that can't be right is never followed.
      const good = kind === HEADER ? size <= rest : kind === PADDING_HEADER && size === rest;
      if (!good || size > n[READ_LIMIT] - position) this.#readOn(n, -1);
      return;
    }
    const header = s[this.#lane.copied + 1];
    const of = this.#lane.words.of[header];
    const isPadding = this.#lane.words.kinds[header] === PADDING_HEADER;
    const size = isPadding ? of : this.#lane.size(of);
    const words = isPadding ? 2 : size;
    const next = s[READ_WORDS] + 1 < words ? s[READ_WORDS] + 1 : 0;
    const n = fork(COPIES[next], true);
    n[this.#lane.copied + next] = n[this.#lane.at(position + next)];
    n[READ_WORDS]++;
    if (next !== 0) return;
    if (isPadding) {
      const whole = n[this.#lane.copied] === this.#lane.words.known(PADDING_CHECKSUM, of, this.#lane.summed(position));
      this.#readOn(n, whole || this.#lane.is['reader does not check what it copied'] ? size : -1);
      return;
    }
    let whole = n[this.#lane.copied] === this.#lane.words.known(CHECKSUM, of, this.#lane.summed(position));
    for (let word = 2; word < size; word++) whole &&= n[this.#lane.copied + word] === this.#lane.words.known(VALUE, of);
    if (!whole && !this.#lane.is['reader does not check what it copied']) {
      this.#readOn(n, -1);
      return;
    }
    if (!whole || n[this.#lane.published + of] !== position) this.#lane.break(n, 'misread');
    n[GIVEN] |= 1 << (of - 1);
    this.#readOn(n, size);
  }

  /** To the next record; -1: begins anew, since the space was given to another record. */
  #readOn(n: Uint8Array, words: number): void {
    n.fill(0, this.#lane.copied, this.#lane.copied + Math.max(...this.#lane.setup.sizes));
    n[READ_WORDS] = 0;
    if (words > 0) n[READ_AT] += words;
    n[READER] = words > 0 && n[READ_AT] < n[READ_LIMIT] ? L.walk : L.idle;
    if (n[READER] === L.idle) n[READ_LIMIT] = 0;
  }
}
