/** The part of Bun's module that ticktape uses. */
declare module 'bun:ffi' {
  export function dlopen(
    name: string,
    symbols: Record<string, { args: readonly string[]; returns: string }>,
    // biome-ignore lint/suspicious/noExplicitAny: the parameters are given as data
  ): { symbols: Record<string, (...args: any[]) => number> };
  export function ptr(view: ArrayBufferView): number;
  export const read: { i32(address: number): number };
}
