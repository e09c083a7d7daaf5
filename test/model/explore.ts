// Walks through every state that a model can come into, breadth first, so that the first way found to a broken one is a shortest.

/** A state is a fixed number of bytes. */
export interface Model {
  readonly bytes: number;
  /** Fills in the one state that all begins in. */
  begin(state: Uint8Array): void;
  /** Asks `fork` for a copy of `state` for each step that may come next, and changes it to what the step leads to. */
  expand(state: Uint8Array, fork: Fork): void;
  /** The property that `state` breaks, or null. */
  broken(state: Uint8Array): string | null;
  /** Nobody is in the middle of anything. From every state there must be a way to such a one. */
  isAtRest(state: Uint8Array): boolean;
  describe(state: Uint8Array): string;
}

/** A copy of the state being expanded, until the next call. `chance`: the step may as well never come, so nobody may rely on it. */
export type Fork = (step: string, chance?: boolean) => Uint8Array;

export interface Found {
  states: number;
  transitions: number;
  /** Names of all steps that were taken. */
  steps: ReadonlySet<string>;
  violation: { property: string; trace: string[] } | null;
}

export const STUCK = 'someone waits, and nothing will wake them';

/** @throws Error where there are more than `most` states */
export function explore(model: Model, most = 4_000_000): Found {
  const states = new States(model.bytes);
  const parents: number[] = [];
  const steps: string[] = [];
  const taken = new Set<string>();
  const sure = new Edges();
  const currentWords = states.room();
  const nextWords = states.room();
  const current = new Uint8Array(currentWords.buffer);
  const next = new Uint8Array(nextWords.buffer);
  let transitions = 0;
  let from = -1;
  let step = '';
  let isChance = false;
  let broken: { at: number; property: string } | null = null;

  /** Takes in what became of the last copy that was asked for. */
  const take = () => {
    if (step === '' || broken !== null) return;
    transitions++;
    taken.add(step);
    const before = states.count;
    const at = states.add(nextWords);
    if (!isChance && from >= 0) sure.add(from, at);
    if (at < before) return;
    parents.push(from);
    steps.push(step);
    const property = model.broken(next);
    if (property !== null) broken = { at, property };
  };
  const fork: Fork = (named, chance = false) => {
    take();
    step = named;
    isChance = chance;
    for (let i = 0; i < nextWords.length; i++) nextWords[i] = currentWords[i];
    return next;
  };

  model.begin(next);
  step = '(begin)';
  take();
  for (from = 0; from < states.count && broken === null; from++) {
    if (states.count > most) throw new Error(`more than ${most} states: make the model smaller`);
    states.read(from, currentWords);
    step = '';
    model.expand(current, fork);
    take();
  }
  if (broken === null) {
    const resting: number[] = [];
    for (let at = 0; at < states.count; at++) {
      states.read(at, currentWords);
      if (model.isAtRest(current)) resting.push(at);
    }
    const at = sure.firstThatCannotReach(resting, states.count);
    if (at >= 0) broken = { at, property: STUCK };
  }
  const trace = (at: number): string[] => {
    const lines: string[] = [];
    for (; at >= 0; at = parents[at]) {
      states.read(at, currentWords);
      lines.unshift(`${steps[at].padEnd(48)} ${model.describe(current)}`);
    }
    return lines;
  };
  const violation = broken as { at: number; property: string } | null;
  return {
    states: states.count,
    transitions,
    steps: taken,
    violation: violation && { property: violation.property, trace: trace(violation.at) },
  };
}

/** The steps between states that are sure to come if nothing else does. */
class Edges {
  #count = 0;
  #ends = new Int32Array(1 << 16);

  add(from: number, to: number): void {
    if (this.#count === this.#ends.length) {
      const larger = new Int32Array(this.#ends.length * 2);
      larger.set(this.#ends);
      this.#ends = larger;
    }
    this.#ends[this.#count++] = from;
    this.#ends[this.#count++] = to;
  }

  /** A first state from which no steps lead to one of `goals`; of these rather one where nothing happens any more; or -1. */
  firstThatCannotReach(goals: readonly number[], states: number): number {
    // By where they lead to: those to state i are sources[starts[i]] to sources[starts[i + 1]].
    const starts = new Int32Array(states + 2);
    const goesOn = new Uint8Array(states);
    for (let i = 0; i < this.#count; i += 2) {
      starts[this.#ends[i + 1] + 2]++;
      goesOn[this.#ends[i]] = 1;
    }
    for (let i = 2; i < starts.length; i++) starts[i] += starts[i - 1];
    const sources = new Int32Array(this.#count / 2);
    for (let i = 0; i < this.#count; i += 2) sources[starts[this.#ends[i + 1] + 1]++] = this.#ends[i];

    const reaches = new Uint8Array(states);
    const todo = [...goals];
    for (const goal of goals) reaches[goal] = 1;
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      for (let i = starts[at]; i < starts[at + 1]; i++) {
        if (reaches[sources[i]] === 1) continue;
        reaches[sources[i]] = 1;
        todo.push(sources[i]);
      }
    }
    const stuck = reaches.findIndex((does, at) => does === 0 && goesOn[at] === 0);
    return stuck >= 0 ? stuck : reaches.indexOf(0);
  }
}

/** States in the order in which they were found, each once. They are kept, compared and hashed in words of four bytes. */
class States {
  count = 0;
  readonly #words: number;
  #kept: Int32Array;
  /** Open addressing: a state's number plus one, at its hash. */
  #table = new Int32Array(1 << 12);

  constructor(bytes: number) {
    this.#words = Math.ceil(bytes / 4);
    this.#kept = new Int32Array(this.#words << 10);
  }

  room(): Int32Array {
    return new Int32Array(this.#words);
  }

  /** The number of a state; a new one's is what the count was. */
  add(words: Int32Array): number {
    const mask = this.#table.length - 1;
    let slot = hash(words, 0, this.#words) & mask;
    for (; this.#table[slot] !== 0; slot = (slot + 1) & mask) {
      if (this.#equals(this.#table[slot] - 1, words)) return this.#table[slot] - 1;
    }
    if ((this.count + 1) * this.#words > this.#kept.length) {
      const larger = new Int32Array(this.#kept.length * 2);
      larger.set(this.#kept);
      this.#kept = larger;
    }
    const at = this.count * this.#words;
    for (let i = 0; i < this.#words; i++) this.#kept[at + i] = words[i];
    this.#table[slot] = this.count + 1;
    if (++this.count * 2 > this.#table.length) this.#grow();
    return this.count - 1;
  }

  read(number: number, words: Int32Array): void {
    const at = number * this.#words;
    for (let i = 0; i < this.#words; i++) words[i] = this.#kept[at + i];
  }

  #equals(number: number, words: Int32Array): boolean {
    const at = number * this.#words;
    for (let i = 0; i < this.#words; i++) if (this.#kept[at + i] !== words[i]) return false;
    return true;
  }

  #grow(): void {
    const table = new Int32Array(this.#table.length * 4);
    const mask = table.length - 1;
    for (let number = 0; number < this.count; number++) {
      let slot = hash(this.#kept, number * this.#words, this.#words) & mask;
      while (table[slot] !== 0) slot = (slot + 1) & mask;
      table[slot] = number + 1;
    }
    this.#table = table;
  }
}

function hash(words: Int32Array, at: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) {
    sum = Math.imul(sum ^ words[at + i], 0x9e3779b1);
    sum ^= sum >>> 15;
  }
  sum = Math.imul(sum, 0x2c1b3c6d);
  return sum ^ (sum >>> 13);
}
