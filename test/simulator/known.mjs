/**
 * Violations that are known and not yet mended: counted by name, and no failure. Empty when all is well.
 * @type {readonly { name: string, pattern: RegExp }[]}
 */
export const KNOWN = [
  { name: 'F1 lane not synced before its name', pattern: /^open: (TRUNCATED|BAD_MAGIC|CORRUPT|BAD_VERSION).*\.ttlane/ },
  { name: 'F2 segment header not synced', pattern: /^open: (TRUNCATED|BAD_MAGIC|CORRUPT|BAD_VERSION).*\.ttseg/ },
  { name: 'F4 cleaning up throws', pattern: /Error: EIO: remove/ },
  { name: 'F11 holes hide blocks from readers', pattern: /^meanwhile: flushed, and lost|^reading meanwhile: BLOCK_MISSING/ },
];
