/** Why a block can't be had from these bytes; a reader goes on to another copy. */
export class DamagedBlock extends Error {}
