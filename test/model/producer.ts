// The producer: assembly/lane.ts, place and publish; assembly/record.ts, encode; src/journal/appender.ts.
import type { Fork } from './explore.js';
import {
  ANSWERED_CLOSED,
  ANSWERED_FAILED,
  BAD_VALUE,
  CACHED_HEAD,
  DRAINED,
  DROPPED,
  FAILED,
  HEAD,
  type Lane,
  NEVER,
  OFFSET,
  OPEN,
  P,
  PRODUCER,
  RECORD,
  RETURNED,
  SAW,
  SEALED_AT,
  STORED,
  TAIL,
  TAPE,
  TOO_LARGE,
  WAITING,
} from './lane.js';
import { HEADER, PADDING_CHECKSUM, PADDING_HEADER, VALUE } from './words.js';

// Names of steps that differ by a number, made once.
const STORES = Array.from(
  { length: 256 },
  (_, word) => `producer: encode: store ${word === 0 ? 'checksum' : `word ${word}`}`,
);
const PADDING_STORES = ['checksum', 'header'].map((word) => `producer: place: store ${word} of padding`);

export class Producer {
  readonly #lane: Lane;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  expand(s: Uint8Array, fork: Fork): void {
    const { sizes, onFull, refuses, timeouts } = this.#lane.setup;
    const is = this.#lane.is;
    switch (s[PRODUCER]) {
      case P.idle:
        if (s[RECORD] < sizes.length) this.#append(s, fork, s[RECORD] + 1);
        return;
      case P.again:
        this.#append(s, fork, s[RECORD]);
        return;
      case P.store: {
        if (refuses && !this.#storeOf(s, s[RECORD]).padding) {
          const n = fork('producer: encode: REFUSED', true);
          n[STORED] = 0;
          this.#answer(n, BAD_VALUE);
        }
        this.#storeNext(fork(this.#nextStore(s)));
        return;
      }

      // lane.ts, publish.
      case P.publish: {
        if (is['producer reads the state before it publishes']) {
          const n = fork('producer: publish: load state');
          n[SAW] = n[TAPE];
          n[PRODUCER] = P.publishLate;
          return;
        }
        const n = fork('producer: publish: store tail');
        this.#publish(n);
        n[PRODUCER] = is['tail moves before the checksum is stored'] ? P.checksumLate : P.readState;
        return;
      }
      case P.publishLate: {
        const n = fork('producer: publish: store tail');
        this.#publish(n);
        if (n[SAW] === OPEN) this.#answer(n, RETURNED);
        else n[PRODUCER] = P.closingSealedAt;
        n[SAW] = 0;
        return;
      }
      case P.checksumLate: {
        const n = fork('producer: encode: store the checksum');
        this.#store(n, this.#position(n), this.#lane.checksum(n[RECORD], this.#position(n)));
        n[PRODUCER] = P.readState;
        return;
      }
      case P.readState: {
        const n = fork('producer: publish: load state');
        if (n[TAPE] === OPEN) this.#answer(n, RETURNED);
        else n[PRODUCER] = P.closingSealedAt;
        return;
      }

      // appender.ts, #closing.
      case P.closingSealedAt: {
        const n = fork('producer: #closing: load sealedAt');
        if (n[SEALED_AT] !== NEVER) this.#answerBySeal(n);
        else n[PRODUCER] = P.closingState;
        return;
      }
      case P.closingState: {
        const n = fork('producer: #closing: load state');
        n[PRODUCER] = n[TAPE] === FAILED ? P.takeBack : P.closingWait;
        return;
      }
      case P.closingWait: {
        const n = fork('producer: #closing: Atomics.wait(sealedAt)');
        n[PRODUCER] = n[SEALED_AT] === NEVER ? P.closingAsleep : P.closingSealedAt;
        return;
      }
      case P.closingAsleep:
        if (timeouts) fork('producer: #closing: wakes after WAIT_MS')[PRODUCER] = P.closingSealedAt;
        return;

      // appender.ts, #takeBack.
      case P.takeBack: {
        const n = fork('producer: #takeBack: load drained');
        if (n[is['taking back looks at head'] ? HEAD : DRAINED] > this.#position(n)) this.#answer(n, RETURNED);
        else n[PRODUCER] = P.stopLane;
        return;
      }
      case P.stopLane: {
        const n = fork('producer: #takeBack: compareExchange sealedAt');
        if (n[SEALED_AT] !== NEVER) {
          this.#answerBySeal(n);
          return;
        }
        if (!is['taking back does not stop the lane']) n[SEALED_AT] = this.#position(n);
        this.#leave(n, ANSWERED_FAILED);
        return;
      }

      // appender.ts, #refused.
      case P.fullState: {
        const n = fork('producer: #refused: load state');
        if (n[TAPE] === FAILED) this.#answer(n, ANSWERED_FAILED);
        else n[PRODUCER] = P.fullSealedAt;
        return;
      }
      case P.fullSealedAt: {
        const n = fork('producer: #refused: load sealedAt');
        if (n[SEALED_AT] !== NEVER) this.#leave(n);
        else if (onFull === 'drop') this.#answer(n, DROPPED);
        else n[PRODUCER] = is['waiting is set after head was looked at'] ? P.lookAtHead : P.setWaiting;
        return;
      }

      // appender.ts, #wait.
      case P.setWaiting: {
        const n = fork('producer: #wait: store waiting 1');
        n[WAITING] = 1;
        n[PRODUCER] = is['waiting is set after head was looked at'] ? P.wait : P.lookAtHead;
        return;
      }
      case P.lookAtHead: {
        const n = fork('producer: #wait: load head');
        n[PRODUCER] = n[HEAD] === n[CACHED_HEAD] ? P.lookAtState : P.again;
        return;
      }
      case P.lookAtState: {
        const n = fork('producer: #wait: load state');
        const next = is['waiting is set after head was looked at'] ? P.setWaiting : P.wait;
        n[PRODUCER] = n[TAPE] === FAILED ? P.again : next;
        return;
      }
      case P.wait: {
        const n = fork('producer: #wait: Atomics.wait(waiting)');
        n[PRODUCER] = n[WAITING] === 1 ? P.asleep : P.again;
        return;
      }
      case P.asleep:
        if (timeouts) fork('producer: #wait: wakes after WAIT_MS')[PRODUCER] = P.again;
        return;
    }
  }

  /** lane.ts, place; and the first store where there is room. */
  #append(s: Uint8Array, fork: Fork, record: number): void {
    const { capacity, largest } = this.#lane.setup;
    const size = this.#lane.size(record);
    if (size > largest && !this.#lane.is['any size of record is taken']) {
      const n = fork('producer: place: TOO_LARGE');
      n[RECORD] = record;
      this.#answer(n, TOO_LARGE);
      return;
    }
    const end = s[TAIL] + this.#padding(s, size) + size;
    if (end - s[CACHED_HEAD] > capacity) {
      const n = fork('producer: place: load head, store cachedHead');
      n[RECORD] = record;
      n[CACHED_HEAD] = this.#lane.is['cachedHead is refreshed from drained'] ? n[DRAINED] : n[HEAD];
      n[PRODUCER] = end - n[CACHED_HEAD] > capacity ? P.fullState : P.store;
      return;
    }
    const n = fork(this.#nextStore(s));
    n[RECORD] = record;
    this.#storeNext(n);
  }

  #nextStore(s: Uint8Array): string {
    const { padding, word } = this.#storeOf(s, s[PRODUCER] === P.idle ? s[RECORD] + 1 : s[RECORD]);
    if (padding) return PADDING_STORES[word];
    return STORES[word];
  }

  /** What the next store is to. lane.ts, place: padding; record.ts, encode: the record; both end with the checksum. */
  #storeOf(s: Uint8Array, record: number): { padding: boolean; word: number } {
    const size = this.#lane.size(record);
    // Where not even a header fits, nothing is written.
    const stores = this.#padding(s, size) < 2 || this.#lane.is['no padding at the end of the ring'] ? 0 : 2;
    if (s[STORED] < stores) return { padding: true, word: 1 - s[STORED] };
    const stored = s[STORED] - stores;
    return { padding: false, word: stored + 1 < size ? stored + 1 : 0 };
  }

  #storeNext(n: Uint8Array): void {
    const record = n[RECORD];
    const { padding, word } = this.#storeOf(n, record);
    const room = this.#padding(n, this.#lane.size(record));
    if (padding) {
      const sum = this.#lane.words.word(PADDING_CHECKSUM, room, this.#lane.summed(n[TAIL]));
      this.#store(n, n[TAIL] + word, word === 0 ? sum : this.#lane.words.word(PADDING_HEADER, room));
    } else {
      const position = n[TAIL] + room;
      const content =
        word === 0 ? this.#lane.checksum(record, position) : this.#lane.words.word(word === 1 ? HEADER : VALUE, record);
      this.#store(n, position + word, content);
    }
    n[STORED]++;
    n[PRODUCER] = P.store;
    const early = this.#lane.is['tail moves before the checksum is stored'];
    const next = padding ? null : early ? this.#storeOf(n, record).word === 0 : word === 0;
    if (next === true) n[PRODUCER] = P.publish;
  }

  /** `position` is any, of the lap that it is in. */
  #store(n: Uint8Array, position: number, word: number): void {
    n[this.#lane.at(position)] = word;
    if (position - this.#lane.setup.capacity >= this.#lane.stored(n)) this.#lane.break(n, 'reuse');
  }

  #publish(n: Uint8Array): void {
    const { capacity } = this.#lane.setup;
    const size = this.#lane.size(n[RECORD]);
    const position = n[TAIL] + this.#padding(n, size);
    n[TAIL] = position + size;
    n[OFFSET] = n[TAIL] % capacity;
    n[STORED] = 0;
    if (this.#lane.setup.reads) n[this.#lane.published + n[RECORD]] = position;
  }

  /** Of the record that was published last. */
  #position(s: Uint8Array): number {
    return s[TAIL] - this.#lane.size(s[RECORD]);
  }

  #padding(s: Uint8Array, size: number): number {
    const rest = this.#lane.setup.capacity - s[OFFSET];
    return size > rest ? rest : 0;
  }

  #answer(n: Uint8Array, answer: number): void {
    n[this.#lane.answers + n[RECORD]] = answer;
    n[PRODUCER] = P.idle;
  }

  #leave(n: Uint8Array, answer = ANSWERED_CLOSED): void {
    this.#answer(n, answer);
    n[PRODUCER] = P.left;
  }

  #answerBySeal(n: Uint8Array): void {
    if (this.#position(n) < n[SEALED_AT]) this.#answer(n, RETURNED);
    else this.#leave(n);
  }

  /** Whoever notifies `waiting`. */
  wakeIfWaiting(n: Uint8Array): void {
    if (n[PRODUCER] === P.asleep) n[PRODUCER] = P.again;
  }

  /** Whoever notifies `sealedAt`. */
  wakeIfClosing(n: Uint8Array): void {
    if (n[PRODUCER] === P.closingAsleep) n[PRODUCER] = P.closingSealedAt;
  }
}
