// logboom info: the files of a log, and who wrote to it last.
import { printable } from '../base/printable.ts'
import { type WaitingLane, waitingLanes } from '../core/lane/waiting.ts'
import { addonFile, whyNoAddon } from '../native/index.ts'
import type { LogInfo } from '../readers/reader.ts'
import type { Command } from './command.ts'
import { expandInputs, formatOption, inputFormat } from './inputs.ts'
import { Output } from './output.ts'
import { forEachInput, forEachLog } from './read-inputs.ts'
import { formatBytes, formatTable, formatTime } from './units.ts'

export const info: Command = {
  name: 'info',
  parameters: '[--count] <log>…',
  summary: 'show the files of a log, their sizes and times, and the last writer',
  description: `Backups are listed from the oldest, with their compression and the time of their last change. Where the
log has a lock file, the process that wrote last is named, and whether it was interrupted. Where records wait in lanes,
it is said how many, and whether their process lives. Last comes which native addon runs on this machine,
or why none does.`,
  options: () => ({
    count: { type: 'boolean', text: 'Also count the records of each file, which means reading them all.' },
    json: { type: 'boolean', text: 'One JSON object per log.' },
    ...formatOption
  }),
  examples: ['logboom info app.log', 'logboom info --count --json logs/ | jq ".files | length"'],
  async run(positionals, values) {
    const format = inputFormat(values)
    const paths = await expandInputs(positionals, format)
    const output = new Output()
    const worst = await forEachInput(paths, async (path) => {
      return await forEachLog(path, format, async ({ reader, path: log }) => {
        const found = await reader.info(log, { count: values.count === true })
        const lanes = waitingLanes(found.path).map(describeLane)
        const details = lanes.length === 0 ? found.details : { ...found.details, lane: lanes.join('; ') }
        const described = { ...found, details }
        await output.text(values.json === true ? toJson(described) : toText(described))
      })
    })
    await output.flush()
    return worst
  }
}

function describeLane({ records, bytes, pid, sinceMs, isHeld }: WaitingLane): string {
  const what = records === undefined ? formatBytes(bytes) : `${records} records (${formatBytes(bytes)})`
  const state = isHeld
    ? 'running, or being written out'
    : 'dead; the next writer or "logboom recover" writes them'
  return `${what} of process ${pid} since ${formatTime(sinceMs)} (${state})`
}

function toJson(found: LogInfo): string {
  const files = found.files.map(({ mtimeMs, ...file }) => ({
    ...file,
    modified: formatTime(mtimeMs)
  }))
  const addon = { file: addonFile, missing: whyNoAddon }
  return `${JSON.stringify({ ...found, files, addon })}\n`
}

function toText({ path, format, files, details }: LogInfo): string {
  const counted = files.some(({ records }) => records !== undefined)
  const rows = files.map((file) => [
    `  ${file.live ? 'live' : file.compression || 'plain'}`,
    formatBytes(file.size),
    ...(counted ? [`${file.records} records`] : []),
    formatTime(file.mtimeMs),
    file.path
  ])
  const total = files.reduce((sum, { size }) => sum + size, 0)
  const records = files.reduce((sum, file) => sum + (file.records ?? 0), 0)
  const summary = [
    `${files.length} ${files.length === 1 ? 'file' : 'files'}`,
    formatBytes(total),
    ...(counted ? [`${records} records`] : [])
  ]
  const labels = Object.entries({
    format,
    total: summary.join(', '),
    ...details,
    addon: addonFile ?? `none: ${whyNoAddon}`
  })
  const facts = labels.map(([label, value]) => [`  ${label}`, String(value)])
  return `${printable(path)}\n${formatTable(facts)}${formatTable(rows, counted ? [1, 2] : [1])}`
}
