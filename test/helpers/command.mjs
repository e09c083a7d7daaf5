// The command line of a harness that is run by hand: options with `parseArgs`, whole numbers within bounds, one line where it is wrong.
import process from 'node:process';
import { parseArgs } from 'node:util';
import { runtimes } from '../../scripts/runtimes.mjs';

/** The runtimes that `--runtime` takes, for a usage text. */
export const RUNTIME_NAMES = runtimes.map(({ name }) => name).join(', ');

/**
 * The options of `npm run <command> -- …`: those given, and `runtime`, `keep`, `json`, `help`. Ends the process where help is asked for, or the
 * usage is wrong (status 2).
 * @template {NonNullable<import('node:util').ParseArgsConfig['options']>} Options
 * @param {string} command @param {string} help @param {Options} given
 */
export function readCommand(command, help, given) {
  function usage(/** @type {string} */ message) {
    console.error(`${message}. See npm run ${command} -- --help.`);
    process.exit(2);
  }

  function read() {
    try {
      const { values } = parseArgs({
        options: {
          ...given,
          runtime: { type: 'string', default: 'node' },
          keep: { type: 'boolean', default: false },
          json: { type: 'boolean', default: false },
          help: { type: 'boolean', default: false },
        },
      });
      return /** @type {any} */ (values);
    } catch (error) {
      return usage(error.message.split(/[.\n]/)[0]);
    }
  }

  function whole(
    /** @type {string} */ name,
    /** @type {string} */ text,
    /** @type {number} */ low,
    /** @type {number} */ high,
  ) {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < low || value > high)
      usage(`--${name} ${text}: a whole number from ${low} to ${high}`);
    return value;
  }

  const options = read();
  if (options.help) {
    console.log(help);
    process.exit(0);
  }
  if (!runtimes.some(({ name }) => name === options.runtime)) {
    usage(`--runtime ${options.runtime}: one of ${RUNTIME_NAMES}`);
  }
  return { options, whole, usage };
}
