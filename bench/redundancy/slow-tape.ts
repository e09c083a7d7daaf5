import type { Fields, Schema, TapeOptions } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { RemoteFlusher } from '../../src/flush/remote.js';
import { resolveOptions } from '../../src/options.js';
import { TapeBlocks } from '../../src/read/reader.js';
import type { Runtime } from '../../src/runtime.js';
import { beginSession } from '../../src/session.js';
import { Tape } from '../../src/tape.js';
import type { Slowness } from './slow-files.js';

/** As `openTape`, with a flusher to whom one storage node is slow. */
export async function openSlowTape<F extends Fields>(
  schema: Schema<F>,
  given: TapeOptions,
  slowness: Slowness,
): Promise<Tape<F>> {
  const options = resolveOptions(given);
  const session = await beginSession(runtime, schema, options);
  const { catalog, flusherSetup, tapeId, zstd } = session;
  const slowed: Runtime = {
    ...runtime,
    spawn: (_, data) => runtime.spawn(new URL('./flusher.js', import.meta.url), { ...(data as object), slowness }),
  };
  const flusher = await RemoteFlusher.start(slowed, flusherSetup, ({ message }) => options.onWarning(message));
  const blocks = new TapeBlocks(runtime.files, schema, tapeId, catalog, zstd, null);
  return new Tape(schema, { options, session, flusher, blocks, onTrouble() {} });
}
