// Neither bundled nor transformed: here the package's own name is what it is to the runtime, through package.json's `exports`.

/** @param {string} specifier */
export const resolve = (specifier) => import.meta.resolve(specifier);

/** @param {string} specifier */
export const load = (specifier) => import(specifier);
