import type { BlockHeader, ChunkEntry } from '../block/header.js';
import { TapeError } from '../errors.js';
import { isVarying, type PlacedField, type Schema } from '../schema.js';
import { parseTime, TIMES_TAKEN } from '../times.js';
import type { Batch, OptionalColumn, SymbolColumn, TextColumn } from './batch.js';

type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>=';

/** What the values of a field are compared with: as the field's column has them. */
export interface Condition {
  readonly field: PlacedField;
  readonly comparison: Comparison;
  readonly value: number | bigint | string;
}

/** Conditions that all hold for the rows that are wanted; a value that is absent holds for none. */
export interface Where {
  readonly conditions: readonly Condition[];
}

const CONDITION = /^([A-Za-z_][A-Za-z0-9_-]*)\s*(=|!=|<=|>=|<|>)\s*([\s\S]*)$/;
const EXAMPLES = "'price>=61800', 'side=1', 'symbol!=ETHUSDT'";

const refuse = (text: string, why: string, field?: string): TapeError =>
  new TapeError('BAD_OPTION', `option where: ${JSON.stringify(text)}: ${why}`, { field });

/**
 * Conditions such as `price>=61800`, `side=1`, `symbol!=ETHUSDT`: a field, one of = != < <= > >=, and a number, of a timestamp a moment
 * (ISO 8601 or ns), or of symbols and texts what they are, without quotes.
 * @throws TapeError `BAD_OPTION`
 */
export function parseWhere(schema: Schema, texts: readonly string[]): Where {
  return { conditions: texts.map((text) => parseCondition(schema, text)) };
}

function parseCondition(schema: Schema, text: string): Condition {
  const parts = CONDITION.exec(text);
  if (parts === null)
    throw refuse(text, `a condition is a field, one of = != < <= > >=, and a value, as in ${EXAMPLES}`);
  const [, name, comparison, valueText] = parts as unknown as [string, string, Comparison, string];
  const field = schema.table.find((candidate) => candidate.name === name);
  if (field === undefined) {
    throw refuse(text, `${name} is none of ${schema.fields.map((candidate) => candidate.name).join(', ')}`, name);
  }
  return { field, comparison, value: parseValue(field, comparison, valueText, text) };
}

function parseValue(field: PlacedField, comparison: Comparison, valueText: string, text: string): Condition['value'] {
  const { name, kind } = field;
  switch (kind) {
    case 'bytes':
      throw refuse(text, `${name} holds bytes, which are not compared`, name);
    case 'symbol':
    case 'text':
      if (comparison !== '=' && comparison !== '!=')
        throw refuse(text, `${name} is compared with = and != alone`, name);
      return valueText;
    case 'timestamp': {
      const ns = parseTime(valueText, BigInt(Date.now()) * 1_000_000n);
      if (ns === null) throw refuse(text, `${name} is compared with a time: ${TIMES_TAKEN}`, name);
      return ns;
    }
    case 'i64':
    case 'u64':
      if (!/^-?\d{1,20}$/.test(valueText)) throw refuse(text, `${name} is compared with a whole number`, name);
      return BigInt(valueText);
    default: {
      const value = Number(valueText);
      if (valueText.trim() === '' || Number.isNaN(value)) throw refuse(text, `${name} is compared with a number`, name);
      return kind === 'f32' ? Math.fround(value) : value;
    }
  }
}

/** Whether a row of the block may pass, by what its header says of it. */
export function mayPass({ conditions }: Where, header: BlockHeader): boolean {
  return conditions.every(({ field, comparison, value }) => {
    if (field.kind === 'symbol' && comparison === '=') return header.symbols.some(({ name }) => name === value);
    const range = isVarying(field) || field.kind === 'symbol' ? null : rangeOf(header, field);
    return range === null || rangeMayPass(comparison, value as number | bigint, range);
  });
}

/** The least and greatest value of a field, as its column has them; null where the header doesn't tell. */
function rangeOf(
  { chunks }: BlockHeader,
  field: PlacedField,
): { least: number | bigint; greatest: number | bigint } | null {
  const range = chunks.find((chunk) => chunk.field === field.index && chunk.part === 0)?.range ?? null;
  if (range === null) return null;
  const shown = shownValue(field);
  return { least: shown(range.least), greatest: shown(range.greatest) };
}

function shownValue({
  kind,
  scale,
}: PlacedField): (stored: NonNullable<ChunkEntry['range']>['least']) => number | bigint {
  if (kind === 'timestamp' || kind === 'i64') return (stored) => stored;
  if (kind === 'u64') return (stored) => BigInt.asUintN(64, stored);
  // The same division as of the values themselves.
  return (stored) => Number(stored) / 10 ** scale;
}

function rangeMayPass(
  comparison: Comparison,
  value: number | bigint,
  { least, greatest }: { least: number | bigint; greatest: number | bigint },
): boolean {
  switch (comparison) {
    case '=':
      return least <= value && value <= greatest;
    case '!=':
      return least !== value || greatest !== value;
    case '<':
      return least < value;
    case '<=':
      return least <= value;
    case '>':
      return greatest > value;
    case '>=':
      return greatest >= value;
  }
}

/**
 * The rows of the batch that pass, ascending; null where all do. The batch must have the columns that are compared. `among`: rows,
 * ascending, of which alone some are wanted; null for all.
 */
export function whereRows({ conditions }: Where, batch: Batch, among: Uint32Array | null = null): Uint32Array | null {
  let rows = among;
  for (const condition of conditions) {
    const column = (batch.columns as Record<string, unknown>)[condition.field.name];
    const kept = passing(condition, column, rows, batch.length);
    if (kept !== null) rows = kept;
  }
  return rows;
}

type Values = ArrayLike<number | bigint | string>;

/** Which of `rows` (null: of all `count`) pass; null where all `count` do. */
function passing(
  { field, comparison, value }: Condition,
  column: unknown,
  rows: Uint32Array | null,
  count: number,
): Uint32Array | null {
  const present = field.optional ? (column as OptionalColumn<SymbolColumn>).present : null;
  const values = present === null ? column : (column as OptionalColumn<SymbolColumn>).values;
  const { compared, against } = comparable(field, values, value);
  const among = rows?.length ?? count;
  const kept = new Uint32Array(among);
  let length = 0;
  const holds = HOLDS[comparison];
  for (let i = 0; i < among; i++) {
    const row = rows === null ? i : rows[i];
    if (present !== null && present[row] === 0) continue;
    if (holds(compared, row, against)) kept[length++] = row;
  }
  return length === count ? null : kept.subarray(0, length);
}

const HOLDS: Record<Comparison, (values: Values, row: number, against: number | bigint | string) => boolean> = {
  '=': (values, row, against) => values[row] === against,
  '!=': (values, row, against) => values[row] !== against,
  '<': (values, row, against) => values[row] < against,
  '<=': (values, row, against) => values[row] <= against,
  '>': (values, row, against) => values[row] > against,
  '>=': (values, row, against) => values[row] >= against,
};

/** Symbols are compared by their ids, texts as they are, all others as the column has them. */
function comparable(
  field: PlacedField,
  values: unknown,
  value: Condition['value'],
): { compared: Values; against: Condition['value'] } {
  if (field.kind === 'symbol') {
    const { ids } = values as SymbolColumn;
    const named = (values as SymbolColumn).idsOf(value as string);
    if (named.length === 1) return { compared: ids, against: named[0] };
    return { compared: Uint8Array.from(ids, (id) => (named.includes(id) ? 1 : 0)), against: 1 };
  }
  if (field.kind === 'text') {
    const column = values as TextColumn;
    return { compared: Array.from({ length: column.length }, (_, row) => column.at(row)), against: value };
  }
  return { compared: values as Values, against: value };
}
