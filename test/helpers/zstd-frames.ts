/** A frame as `compress` makes it, without its content size. Its window, then, is 2 MiB. */
export function withoutSize(frame: Uint8Array): Uint8Array {
  const descriptor = frame[4];
  const singleSegment = (descriptor >> 5) & 1;
  const sizeBytes = [singleSegment, 2, 4, 8][descriptor >> 6];
  const blocks = frame.subarray(5 + (1 - singleSegment) + sizeBytes);
  // Of the descriptor the checksum flag remains.
  return Uint8Array.of(...frame.subarray(0, 4), descriptor & 0x04, 0x58, ...blocks);
}
