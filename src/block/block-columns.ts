import { DRAIN_ROWS, KIND_U32 } from '../../assembly/layout.js';
import { assert, TapeError } from '../errors.js';
import type { MemoryMap } from '../journal/memory-map.js';
import type { Kernels } from '../kernels.js';
import { isVarying, type PlacedField, type Schema } from '../schema.js';
import type { ValueRange } from './column-encoder.js';
import { SLACK } from './workspace.js';

/** Bytes of an entry of the table that `gatherColumns` is told: u32 offset in a row, u32 width, u32 pointer to the column. */
const TABLE_ENTRY_BYTES = 12;

/** Of the column that a field has in blocks: a varying one, of its lengths. */
export const kindOf = (field: PlacedField): number => (isVarying(field) ? KIND_U32 : field.kindNumber);

/** The rows of a block as columns; of an optional field, the values that are present. */
export class BlockColumns {
  readonly #schema: Schema;
  readonly #kernels: Kernels;
  readonly #map: MemoryMap;
  readonly #view: DataView;
  /** Columns that are gathered, presence bytes among them. */
  readonly #gathered: number;
  #count = 0;
  /** Values that optional fields have. */
  readonly #present = new Map<number, number>();

  constructor(schema: Schema, kernels: Kernels, memory: WebAssembly.Memory, map: MemoryMap) {
    this.#schema = schema;
    this.#kernels = kernels;
    this.#map = map;
    this.#view = new DataView(memory.buffer);
    const gathered = schema.table.map(({ offset, width, index }) => ({ offset, width, at: map.columns[index] }));
    for (let byte = 0; byte < schema.presence.bytes; byte++) {
      gathered.push({ offset: schema.presence.offset + byte, width: 1, at: this.#presenceBytes(byte) });
    }
    gathered.forEach(({ offset, width, at }, i) => {
      const entry = map.columnTable + TABLE_ENTRY_BYTES * i;
      this.#view.setUint32(entry, offset, true);
      this.#view.setUint32(entry + 4, width, true);
      this.#view.setUint32(entry + 8, at, true);
    });
    this.#gathered = gathered.length;
  }

  #presenceBytes(byte: number): number {
    return this.#map.presence + byte * (this.#map.mostRecords + SLACK);
  }

  /** Takes the rows in the row buffer; answers how many there are. */
  gather(): number {
    const { drainState, rows, rowIndex, columnTable } = this.#map;
    const { recordBytes, varying, optionals } = this.#schema;
    this.#count = this.#view.getUint32(drainState + DRAIN_ROWS, true);
    assert(this.#count > 0, 'a block has records');
    const isIndexed = varying.length > 0;
    const from = isIndexed ? rowIndex : rows;
    this.#kernels.gatherColumns(from, recordBytes, isIndexed ? 1 : 0, this.#count, columnTable, this.#gathered);
    for (const field of optionals) {
      const at = this.at(field);
      this.#present.set(
        field.index,
        this.#kernels.keepPresent(at, field.width, this.presenceMask(field), this.#count, at),
      );
    }
    return this.#count;
  }

  /** Points to the values of a field at their natural width. */
  at({ index }: PlacedField): number {
    return this.#map.columns[index];
  }

  /** How many values a field has. */
  countOf({ index, optional }: PlacedField): number {
    return optional ? this.#present.get(index)! : this.#count;
  }

  /** Points to the mask of the rows that have a value of an optional field, which holds until the next call. */
  presenceMask({ presenceBit }: PlacedField): number {
    const mask = this.#map.workspace.presence;
    this.#kernels.presenceMask(this.#presenceBytes(presenceBit >> 3), this.#count, presenceBit & 7, mask);
    return mask;
  }

  /** Points to the first `count` values as i64 (floats: their bits), which may be at `out`. */
  widened(field: PlacedField, out: number, count = this.countOf(field)): number {
    if (field.width === 8) return this.at(field);
    this.#kernels.widen(this.at(field), kindOf(field), count, out);
    return out;
  }

  /** Least and greatest of a field that has values, as i64. */
  rangeOf(field: PlacedField): ValueRange {
    const at = this.#map.workspace.tableA;
    this.#kernels.rangeOf(this.at(field), kindOf(field), this.countOf(field), at);
    return this.#range(at);
  }

  /** The same of a u64 field, compared as u64. */
  unsignedRangeOf(field: PlacedField): ValueRange {
    const at = this.#map.workspace.tableA;
    this.#kernels.minMax(this.at(field), this.countOf(field), 1, at);
    return this.#range(at);
  }

  #range(at: number): ValueRange {
    return { least: this.#view.getBigInt64(at, true), greatest: this.#view.getBigInt64(at + 8, true) };
  }

  /** The ids of all symbols in the block. @throws TapeError `CORRUPT` */
  symbolIds(): Set<number> {
    const { seenSymbols, symbolCapacity, workspace } = this.#map;
    const [found] = workspace.vectors;
    const ids = new Set<number>();
    for (const field of this.#schema.table) {
      if (field.kind !== 'symbol') continue;
      const { distinct } = this.#kernels;
      const count = distinct(this.at(field), this.countOf(field), seenSymbols, symbolCapacity, found);
      if (count < 0) {
        throw new TapeError('CORRUPT', `a record holds an unknown symbol in ${field.name}`, { field: field.name });
      }
      for (let i = 0; i < count; i++) ids.add(this.#view.getUint32(found + 4 * i, true));
    }
    return ids;
  }
}
