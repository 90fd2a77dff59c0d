// The manual page logboom(1), made from the commands as the help is; written to man/ by `npm run docs`.
import type { CliOption, Command } from './command.ts'
import { allOptions } from './completions.ts'
import { EXIT_CODES, INTRODUCTION } from './help.ts'

export function manPage(commands: readonly Command[], version: string): string {
  const sections = commands.map((command) => {
    // Options of sinks are many and have pages of their own.
    const own = Object.entries(command.options([]))
    const options = own.length > 0 ? own : allOptions(command)
    return [
      `.SS ${escapeRoff(command.name)}`,
      `.B logboom ${escapeRoff(command.name)}`,
      escapeRoff(command.parameters),
      '.PP',
      paragraphs(command.description),
      ...options.map((each) => optionText(...each)),
      '.PP',
      'Examples:',
      '.EX',
      ...command.examples.map((example) => escapeRoff(example)),
      '.EE'
    ].join('\n')
  })
  return `.\\" Generated from src/cli/ by \`npm run docs\`; do not edit.
.TH LOGBOOM 1 "" "logboom ${version}" "User Commands"
.SH NAME
logboom \\- reads, follows, checks and writes logs
.SH SYNOPSIS
.B logboom
.I command
[options] log ...
.SH DESCRIPTION
${paragraphs(INTRODUCTION)}
.SH COMMANDS
${sections.join('\n')}
.SH EXIT STATUS
.EX
${EXIT_CODES.split('\n')
  .slice(1)
  .filter((line) => line !== '')
  .map(escapeRoff)
  .join('\n')}
.EE
.SH SEE ALSO
.BR jq (1),
.BR tail (1),
.BR logrotate (8)
`
}

function optionText(name: string, { short, value, negatable, text }: CliOption): string {
  const long = `--${negatable === true ? '[no-]' : ''}${name}`
  const names = short === undefined ? long : `-${short}, ${long}`
  const argument = value === undefined ? '' : ` \\fI${escapeRoff(value)}\\fR`
  return `.TP\n\\fB${escapeRoff(names)}\\fR${argument}\n${escapeRoff(text)}`
}

function paragraphs(text: string): string {
  return text
    .trim()
    .split(/\n\n+/)
    .map((each) => each.split('\n').map(escapeRoff).join('\n'))
    .join('\n.PP\n')
}

/** No character of the text means anything to roff. */
function escapeRoff(line: string): string {
  const text = line
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replaceAll('\n', ' ')
  return /^[.']/.test(text) ? `\\&${text}` : text
}
