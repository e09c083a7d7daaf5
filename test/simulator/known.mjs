/**
 * Violations that are known and not yet mended: counted by name, and no failure. Empty when all is well.
 * @type {readonly { name: string, pattern: RegExp }[]}
 */
export const KNOWN = [
  { name: 'F1 lane not synced before its name', pattern: /^open: (TRUNCATED|BAD_MAGIC|CORRUPT|BAD_VERSION).*\.ttlane/ },
  { name: 'F2 segment header not synced', pattern: /^open: (TRUNCATED|BAD_MAGIC|CORRUPT|BAD_VERSION).*\.ttseg/ },
  { name: 'F3 footer before its blocks', pattern: /lost after it was recovered|BLOCK_MISSING/ },
  { name: 'F4 cleaning up throws', pattern: /Error: EIO: remove/ },
];
