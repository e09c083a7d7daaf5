import { market as marketOf } from '../schemas.js';

/** Decimal places of prices and of sizes: what the widest source of the demo needs, so that nothing is rounded. */
export const PRICE_SCALE = 2;
export const SIZE_SCALE = 3;

/** What the demo records. */
export const market = marketOf({ priceScale: PRICE_SCALE, sizeScale: SIZE_SCALE });
