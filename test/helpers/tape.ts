import { type Batch, type Fields, openTape, type Schema, type Tape, type TapeOptions, type TapeReader } from 'ticktape';

/** Every record there is, as objects. */
export async function recordsOf<F extends Fields>(tape: Tape<F> | TapeReader<F>): Promise<Record<string, unknown>[]> {
  const records: Record<string, unknown>[] = [];
  for await (const batch of tape.scan()) for (const record of batch.records()) records.push(record);
  return records;
}

/** Every record with its sequence, read by a reader that knows nothing of the writer. */
export async function readAll<F extends Fields>(
  schema: Schema<F>,
  storage: readonly string[],
): Promise<{ sequence: bigint; [field: string]: unknown }[]> {
  const reader = await openTape(schema, { storage, readOnly: true });
  try {
    const records: { sequence: bigint }[] = [];
    for await (const batch of reader.scan()) {
      for (let i = 0; i < batch.length; i++) records.push({ sequence: batch.sequence(i), ...batch.record(i) });
    }
    return records;
  } finally {
    await reader.close();
  }
}

export async function batchesOf<F extends Fields>(tape: Tape<F> | TapeReader<F>): Promise<Batch<F>[]> {
  const batches: Batch<F>[] = [];
  for await (const batch of tape.scan()) batches.push(batch);
  return batches;
}

/** Opens the tape and closes it again: recovery, and nothing else. */
export async function reopen<F extends Fields>(schema: Schema<F>, options: TapeOptions) {
  const tape = await openTape(schema, options);
  const { recovery } = tape.stats();
  await tape.close();
  return recovery;
}

/** What the promise is rejected with, or the function throws. */
export async function errorOf(action: () => unknown): Promise<Error & { code?: string; [detail: string]: unknown }> {
  try {
    await action();
  } catch (error) {
    return error as Error & { code?: string; [detail: string]: unknown };
  }
  throw new Error('there was no error');
}
