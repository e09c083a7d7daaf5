// How the processes of the harness open a tape and repair it, also one of which a storage node was deleted.
import { openTape, repairTape } from 'ticktape';
import { schemaOf } from './records.mjs';

/** What is said of a storage node that is given up when others have all its blocks. */
const NOTHING_LOST = /given up as lost, and with it 0 records/;

/**
 * Opens the tape for writing. Where the storage node `lost` was deleted it is given up once the tape says that it misses it, as it must
 * if `isMissed`; a tape that was killed while it was made may not know it yet.
 */
export async function openWriter({ noted, storage, journal, options, lost, isMissed }, onWarning) {
  const schema = schemaOf(noted);
  const given = { ...options, storage, journal, onWarning };
  if (lost === null) return openTape(schema, given);
  try {
    const tape = await openTape(schema, given);
    if (isMissed) onWarning(`${lost} was deleted, and the tape was opened without a word`);
    return tape;
  } catch (error) {
    if (error.code !== 'STORAGE_MISSING' || error.storageNode !== lost) throw error;
  }
  const beyondLoss = (message) => {
    if (!NOTHING_LOST.test(message)) onWarning(message);
  };
  return openTape(schema, { ...given, lostStorageNodes: [lost], onWarning: beyondLoss });
}

/** By the writer, or `alone`, once the tape is closed. */
export function repair({ storage, journal, repairer }, tape) {
  return repairer === 'writer' ? tape.repair() : repairTape({ storage, journal });
}

export const openReader = ({ noted, storage, journal }) =>
  openTape(schemaOf(noted), { storage, journal, readOnly: true });
