export { xxh64 } from './checksum';
export { toDecimals } from './codec/decimal';
export { deltaDecode, deltaEncode, deltaSize } from './codec/delta';
export { pack, packedSize, unpack } from './codec/bitpack';
export { expandMask, keepPresent, presenceMask } from './codec/presence';
export { minMax, narrow, widen } from './codec/widen';
export { append, appendStaged, countDrop, drain, probe, release, reserve } from './lane';
export { distinct, intern } from './symbols';
export { gatherIndexed, gatherStrided, gatherVarying } from './transpose';
