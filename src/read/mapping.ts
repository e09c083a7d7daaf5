import { TapeError } from '../errors.js';
import type { ResolvedOptions } from '../options.js';
import type { Mapper, Runtime } from '../runtime.js';

/** Of files that are read; null where they are copied, be it for want of a mapper: results are the same. */
export function mapperFor(runtime: Runtime, read: ResolvedOptions['read']): Mapper | null {
  if (read === 'copied') return null;
  try {
    return runtime.mapper();
  } catch (error) {
    if (error instanceof TapeError && error.code === 'UNSUPPORTED') return null;
    throw error;
  }
}
