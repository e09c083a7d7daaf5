/** Tells this thread from all others. (`threadId` doesn't: on Deno every web worker has the main thread's.) */
export const thisThread: string = crypto.randomUUID();
