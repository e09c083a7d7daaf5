import { kernelsBase64 } from './kernels.generated.js';

type AppendKernel = (
  lane: number,
  timestampNs: bigint,
  a1: number,
  a2: number,
  a3: number,
  a4: number,
  a5: number,
  a6: number,
  a7: number,
  a8: number,
  a9: number,
  a10: number,
) => number;

/** The kernels on one memory. Pointers and lengths are bytes; what each does and checks stands in assembly/. */
export interface Kernels {
  append: AppendKernel;
  appendScaled: AppendKernel;
  reserve(lane: number, size: number): number;
  appendStaged(lane: number, record: number, size: number): number;
  appendStagedScaled(lane: number, record: number, size: number): number;
  countDrop(lane: number): void;
  drain(
    lanes: number,
    stride: number,
    count: number,
    cursors: number,
    state: number,
    index: number,
    rowsEnd: number,
    maxRows: number,
  ): number;
  release(lane: number, position: bigint): void;
  lookAtLanes(cursors: number, count: number, isOver: number): number;
  follow(cursor: number, index: number, maxRows: number): number;
  recall(cursor: number, position: bigint, limit: bigint, index: number, maxRows: number): number;
  probe(lane: number, position: bigint, limit: bigint): number;
  intern(staged: number, capacity: number): number;
  distinct(ids: number, count: number, seen: number, capacity: number, out: number): number;
  /** Signed, as every i64 that WASM answers: `BigInt.asUintN(64, …)` makes it the u64. */
  xxh64(pointer: number, length: number, seed: bigint): bigint;
  gatherColumns(rows: number, stride: number, indexed: number, count: number, table: number, columns: number): void;
  move(out: number, from: number, bytes: number): void;
  gatherVarying(
    index: number,
    count: number,
    fixedBytes: number,
    lengthOffsets: number,
    which: number,
    out: number,
    outEnd: number,
  ): number;
  bars(
    slots: number,
    times: number,
    prices: number,
    sizes: number,
    from: number,
    count: number,
    lastNs: bigint,
    accumulators: number,
    slotCount: number,
    touched: number,
    priceMultiplier: number,
    sizeMultiplier: number,
  ): number;
  widen(source: number, kind: number, count: number, out: number): void;
  narrow(source: number, kind: number, count: number, out: number): number;
  rangeOf(values: number, kind: number, count: number, out: number): void;
  minMax(source: number, count: number, unsigned: number, out: number): void;
  presenceMask(column: number, count: number, bit: number, out: number): void;
  expandMask(mask: number, count: number, out: number): number;
  keepPresent(column: number, width: number, mask: number, count: number, out: number): number;
  packedSize(source: number, count: number): number;
  pack(source: number, count: number, out: number): number;
  unpack(source: number, sourceEnd: number, count: number, out: number): number;
  keepChanges(source: number, count: number, mask: number, out: number): number;
  keepWhere(source: number, count: number, mask: number, out: number): number;
  maskCount(mask: number, count: number): number;
  spread(mask: number, count: number, kept: number, out: number): void;
  fill(out: number, count: number, value: bigint): void;
  toDecimals(source: number, count: number, divisor: number, out: number): void;
  decimals(
    source: number,
    kind: number,
    count: number,
    divisor: number,
    out: number,
    rows: number,
    bits: number,
    most: number,
  ): number;
  undecimals(
    values: number,
    kind: number,
    count: number,
    divisor: number,
    rows: number,
    bits: number,
    exceptions: number,
  ): number;
  spreadPresent(mask: number, count: number, kept: number, out: number): void;
  differences(source: number, count: number, out: number): number;
  zigzag(values: number, count: number): void;
  sumDifferences(values: number, count: number, first: bigint, zigzagged: number): void;
  dictionary(source: number, count: number, ids: number, values: number, scratch: number): number;
  rangeDictionary(source: number, count: number, least: bigint, ids: number, values: number, scratch: number): number;
  pairIds(a: number, b: number, count: number, others: number, scratch: number, out: number): number;
  firstRows(ids: number, count: number, known: number, rows: number): void;
  idsSuit(ids: number, count: number, values: number, source: number): number;
  valuesInRows(source: number, rows: number, known: number, values: number): void;
  packIds(ids: number, count: number, width: number, out: number): void;
  unpackIds(ids: number, width: number, count: number, out: number): void;
  lookUp(ids: number, width: number, count: number, values: number, known: number, out: number): number;
  addConstant(source: number, count: number, base: bigint, out: number): void;
  groupDifferences(source: number, groups: number, count: number, last: number, out: number): number;
  sumGroups(values: number, groups: number, count: number, last: number, zigzagged: number): void;
  toPlanes(source: number, width: number, count: number, out: number): void;
  fromPlanes(source: number, width: number, count: number, out: number): void;
  add(values: number, reference: number, count: number): void;
  subtract(source: number, reference: number, count: number, out: number): void;
  commonDivisor(source: number, count: number, base: bigint): bigint;
  join(quotients: number, remainders: number, count: number, base: bigint, divisor: bigint): void;
  split(source: number, count: number, base: bigint, divisor: bigint, quotients: number, remainders: number): number;
  detokenize(tokens: number, bits: number, count: number, out: number): void;
  tokenBits(tokens: number, count: number): number;
  tokenize(source: number, count: number, tokens: number, bits: number): number;
  huffmanSize(source: number, count: number, scratch: number): number;
  huffmanEncode(source: number, count: number, out: number, scratch: number): number;
  huffmanCount(source: number, sourceEnd: number): number;
  huffmanDecode(source: number, sourceEnd: number, out: number, room: number, scratch: number): number;
}

let compiled: WebAssembly.Module | undefined;

/** @throws Error where a kernel's assertion fails, at the call that broke it */
export function instantiateKernels(memory: WebAssembly.Memory): Kernels {
  compiled ??= new WebAssembly.Module(Uint8Array.from(atob(kernelsBase64), (character) => character.charCodeAt(0)));
  const abort = (_message: number, _file: number, line: number, column: number) => {
    throw new Error(`ticktape: broken invariant in a kernel (assembly ${line}:${column})`);
  };
  return new WebAssembly.Instance(compiled, { env: { memory, abort } }).exports as unknown as Kernels;
}

/** A shared memory of at least `bytes`, its maximum too: a memory that grows may look short on other threads. */
export function sharedMemory(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / 65536);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}
