import process from 'node:process';
import type { CommandModule, Commands } from './command.js';
import { CommandLine, type Completion, type OptionSpec, UsageError } from './command-line.js';

export const OPTIONS: OptionSpec[] = [];
export const OPERANDS = ['bash', 'zsh', 'fish'] as const;

const HELP = `Usage: ticktape completion bash|zsh|fish

Prints a script that has the shell complete ticktape's commands, their options, and the directories and words that these
take. For this session, and for those to come:

  source <(ticktape completion bash)          >> ~/.bashrc
  source <(ticktape completion zsh)           >> ~/.zshrc, behind compinit
  ticktape completion fish | source           > ~/.config/fish/completions/ticktape.fish
`;

/** A command, as far as a shell has to know it. */
interface Completed {
  name: string;
  summary: string;
  options: OptionSpec[];
  operands: Completion;
}

export async function run(args: string[], commands: Commands): Promise<number> {
  const commandLine = new CommandLine(args, OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const [shell, ...rest] = commandLine.operands;
  const script = { bash, zsh, fish }[shell ?? ''];
  if (script === undefined || rest.length > 0) throw new UsageError(`give one shell: ${OPERANDS.join(', ')}`);
  const completed = await Promise.all(
    Object.entries(commands).map(async ([name, { summary, load }]): Promise<Completed> => {
      const { OPTIONS: options = [], OPERANDS: operands = 'file' }: CommandModule = await load();
      return { name, summary, operands, options: [...options, { name: 'help', help: 'what it takes' }] };
    }),
  );
  process.stdout.write(script(completed));
  return 0;
}

/** How the value of the option is completed; null where it can't be. */
function completionOf({ value = '', complete }: OptionSpec): Completion | null {
  if (complete !== undefined) return complete;
  if (value.startsWith('DIR')) return 'directory';
  return value.startsWith('FILE') ? 'file' : null;
}

/** As one word of any of these shells' scripts, in single quotes. */
const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

const firstLine = (text: string) => text.split('\n')[0];

function bash(commands: Completed[]): string {
  const complete = (completion: Completion) =>
    typeof completion === 'string' ? `_ticktape_paths ${completion}` : `_ticktape_words ${quote(completion.join(' '))}`;
  const values = commands.flatMap(({ name, options }) =>
    options.flatMap((option) => {
      if (option.value === undefined) return [];
      const completion = completionOf(option);
      const action = completion === null ? '' : `${complete(completion)}; `;
      return [`    ${quote(`${name} --${option.name}`)}) ${action}return ;;`];
    }),
  );
  const cases = commands.flatMap(({ name, options, operands }) => [
    `    ${name})`,
    `      if [[ $cur == -* ]]; then _ticktape_words ${quote(options.map((option) => `--${option.name}`).join(' '))}`,
    `      else ${complete(operands)}; fi ;;`,
  ]);
  return `# Completion of ticktape for bash.
_ticktape_words() {
  COMPREPLY=($(compgen -W "$1" -- "$cur"))
}

_ticktape_paths() {
  # Of a list with commas, what follows the last one.
  local IFS=$'\\n' before=\${cur%"\${cur##*,}"}
  if [[ $1 == directory ]]; then COMPREPLY=($(compgen -d -- "\${cur##*,}"))
  else COMPREPLY=($(compgen -f -- "\${cur##*,}")); fi
  COMPREPLY=("\${COMPREPLY[@]/#/$before}")
  compopt -o filenames 2>/dev/null
}

_ticktape() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    _ticktape_words ${quote([...commands.map(({ name }) => name), '--help', '--version'].join(' '))}
    return
  fi
  # \`--option=value\` is three words.
  if [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}
  elif [[ $cur == = ]]; then cur=; fi
  case "\${COMP_WORDS[1]} $prev" in
${values.join('\n')}
  esac
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
}

complete -F _ticktape ticktape
`;
}

function zsh(commands: Completed[]): string {
  const action = (completion: Completion | null) => {
    if (completion === null) return '';
    if (completion === 'directory') return '_directories';
    return completion === 'file' ? '_files' : `(${completion.join(' ')})`;
  };
  /** In the help of an option and before a colon, brackets and colons mean something. */
  const plain = (text: string) => text.replaceAll(/[\\[\]:]/g, '\\$&');
  const specs = ({ options, operands }: Completed) => [
    ...options.map((option) => {
      const { name, value, list, help } = option;
      const assigned = value === undefined ? '' : '=';
      const argument = value === undefined ? '' : `:${plain(value)}:${action(completionOf(option))}`;
      return quote(`${list ? '*' : ''}--${name}${assigned}[${plain(firstLine(help))}]${argument}`);
    }),
    quote(`*: :${action(operands)}`),
  ];
  return `#compdef ticktape
# Completion of ticktape for zsh.
_ticktape() {
  if ((CURRENT == 2)); then
    local -a commands=(
${commands.map(({ name, summary }) => `      ${quote(`${name}:${plain(summary)}`)}`).join('\n')}
    )
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${commands.map((command) => `    ${command.name}) _arguments ${specs(command).join(' \\\n      ')} ;;`).join('\n')}
  esac
}

if [[ $funcstack[1] == _ticktape ]]; then _ticktape "$@"; else compdef _ticktape ticktape; fi
`;
}

function fish(commands: Completed[]): string {
  // There a backslash escapes a quote within quotes.
  const own = (text: string) => `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
  const action = (completion: Completion | null) => {
    if (completion === 'file') return '-r -F';
    if (completion === 'directory') return "-x -a '(__fish_complete_directories)'";
    return completion === null ? '-x' : `-x -a ${own(completion.join(' '))}`;
  };
  const lines = commands.flatMap(({ name, summary, options, operands }) => {
    const used = `-n ${own(`__fish_seen_subcommand_from ${name}`)}`;
    return [
      `complete -c ticktape -n __fish_use_subcommand -a ${name} -d ${own(summary)}`,
      ...options.map((option) => {
        const value = option.value === undefined ? '' : ` ${action(completionOf(option))}`;
        return `complete -c ticktape ${used} -l ${option.name}${value} -d ${own(firstLine(option.help))}`;
      }),
      `complete -c ticktape ${used} ${operands === 'file' ? '-F' : action(operands).replace('-x', '-f')}`,
    ];
  });
  return `# Completion of ticktape for fish.
complete -c ticktape -f
${lines.join('\n')}
`;
}
