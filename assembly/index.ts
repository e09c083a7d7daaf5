export { bars } from './bars';
export { xxh64 } from './checksum';
export { pack, packedSize, unpack } from './codec/bitpack';
export { keepChanges, keepWhere, maskCount, spread } from './codec/changes';
export { fill } from './codec/constant';
export { decimals, toDecimals, undecimals } from './codec/decimal';
export { differences, sumDifferences, zigzag } from './codec/delta';
export {
  dictionary,
  firstRows,
  idsSuit,
  lookUp,
  packIds,
  pairIds,
  rangeDictionary,
  unpackIds,
  valuesInRows,
} from './codec/dictionary';
export { addConstant } from './codec/frame';
export { groupDifferences, sumGroups } from './codec/group';
export { huffmanCount, huffmanDecode, huffmanEncode, huffmanSize } from './codec/huffman';
export { fromPlanes, toPlanes } from './codec/planes';
export { expandMask, keepPresent, presenceMask, spreadPresent } from './codec/presence';
export { add, subtract } from './codec/reference';
export { commonDivisor, join, split } from './codec/split';
export { detokenize, tokenBits, tokenize } from './codec/tokens';
export { minMax, narrow, rangeOf, widen } from './codec/widen';
export { follow, lookAtLanes, recall } from './follow';
export {
  append,
  appendScaled,
  appendStaged,
  appendStagedScaled,
  countDrop,
  drain,
  probe,
  release,
  reserve,
} from './lane';
export { distinct, intern } from './symbols';
export { gatherColumns, gatherVarying, move } from './transpose';
