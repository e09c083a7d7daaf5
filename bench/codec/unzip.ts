import { inflateRawSync } from 'node:zlib';

const LOCAL_HEADER = 0x04034b50;
const HEADER_BYTES = 30;
const DEFLATED = 8;

/** The first file of a zip archive. What follows its data, which says itself where it ends, is left alone. */
export function unzip(archive: Uint8Array, path: string): Uint8Array {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
  if (archive.length < HEADER_BYTES || view.getUint32(0, true) !== LOCAL_HEADER) {
    throw new Error(`${path} is not a zip archive`);
  }
  if (view.getUint16(8, true) !== DEFLATED) throw new Error(`${path}: its file is not deflated`);
  const from = HEADER_BYTES + view.getUint16(26, true) + view.getUint16(28, true);
  return inflateRawSync(archive.subarray(from));
}
