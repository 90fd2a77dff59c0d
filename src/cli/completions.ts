// Completion for bash, zsh and fish, made from the commands as the help is; written to completions/ by `npm run docs`.
import { sinks } from '../core/registry.ts'
import type { CliOption, Command } from './command.ts'

const NOTE = '# Generated from src/cli/ by `npm run docs`; do not edit.'

/** All options of a command, whatever kind of sink its arguments name. */
export function allOptions(command: Command): [string, CliOption][] {
  const options = { ...command.options([]) }
  for (const kind of Object.keys(sinks)) Object.assign(options, command.options(['--to', kind]))
  return Object.entries(options)
}

export function bashCompletion(commands: readonly Command[]): string {
  const cases = commands.map((command) => {
    const words = allOptions(command).flatMap(([name, { short }]) => [
      `--${name}`,
      ...(short === undefined ? [] : [`-${short}`])
    ])
    return `    ${command.name}) words='${[...words, '--help'].join(' ')}' ;;`
  })
  return `${NOTE}
_logboom() {
  local cur=\${COMP_WORDS[COMP_CWORD]} words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "\${COMP_WORDS[1]}" = help ]; }; then
    mapfile -t COMPREPLY < <(compgen -W '${[...names(commands), 'help'].join(' ')}' -- "$cur")
    return
  fi
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
  case $cur in
    -*) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
    *)
      if [ "$COMP_CWORD" -eq 2 ] && [ "\${COMP_WORDS[1]}" = pipe ]; then
        mapfile -t COMPREPLY < <(compgen -W '${Object.keys(sinks).join(' ')}' -- "$cur")
      fi
      ;;
  esac
}
complete -o default -F _logboom logboom
`
}

export function zshCompletion(commands: readonly Command[]): string {
  const described = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`)
  const cases = commands.map((command) => {
    const options = allOptions(command).map((each) => `        ${zshOption(...each)} \\`)
    const first = command.name === 'pipe' ? `'1:kind:(${Object.keys(sinks).join(' ')})' ` : ''
    return `      ${command.name})\n        _arguments \\\n${options.join('\n')}\n        ${first}'*:log:_files'\n        ;;`
  })
  return `#compdef logboom
${NOTE}
_logboom() {
  local -a commands=(
${described.join('\n')}
    'help:explain a command'
  )
  if (( CURRENT == 2 )) || { (( CURRENT == 3 )) && [[ $words[2] == help ]] }; then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
_logboom "$@"
`
}

export function fishCompletion(commands: readonly Command[]): string {
  const lines = commands.flatMap((command) => {
    const { name, summary } = command
    const seen = `-n '__fish_seen_subcommand_from ${name}'`
    const kinds =
      name === 'pipe' ? [`complete -c logboom ${seen} -f -a '${Object.keys(sinks).join(' ')}'`] : []
    return [
      `complete -c logboom -n __fish_use_subcommand -f -a ${name} -d ${fishQuoted(summary)}`,
      ...kinds,
      ...allOptions(command).map(([option, { short, type, text }]) => {
        const letter = short === undefined ? '' : ` -s ${short}`
        return `complete -c logboom ${seen} -l ${option}${letter}${type === 'string' ? ' -r' : ''} -d ${fishQuoted(firstSentence(text))}`
      })
    ]
  })
  return `${NOTE}\n${lines.join('\n')}\ncomplete -c logboom -n __fish_use_subcommand -f -a help -d 'explain a command'\n`
}

function names(commands: readonly Command[]): string[] {
  return commands.map(({ name }) => name)
}

function zshOption(name: string, { short, value, text, multiple }: CliOption): string {
  const what = firstSentence(text).replace(/[[\]:\\]/g, '\\$&')
  const argument = value === undefined ? '' : `:${value.replace(/[[\]:\\]/g, '\\$&')}:_files`
  const many = multiple === true ? '*' : ''
  const long = quoted(`${many}--${name}${value === undefined ? '' : '='}[${what}]${argument}`)
  if (short === undefined) return long
  return `${long} ${quoted(`${many}-${short}[${what}]${argument}`)}`
}

function firstSentence(text: string): string {
  return text.split(/\. |\.$|: /)[0].replaceAll('\n', ' ')
}

/** For zsh, whose quotes know no escape. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
