// logboom recover: writes out what dead processes have left in their lanes.
import { setTimeout as sleep } from 'node:timers/promises'
import { errorMessage, LogboomError } from '../base/errors.ts'
import { printable } from '../base/printable.ts'
import { givenOptions } from '../core/lane/lane-format.ts'
import { type WaitingLane, waitingLanes } from '../core/lane/waiting.ts'
import { isKind, sinks } from '../core/registry.ts'
import { resumed } from '../core/shared-file/start-options.ts'
import type { SinkKind } from '../core/sink/sink-kind.ts'
import { type Command, complain, type ExitCode, exitCodes, timeOption } from './command.ts'
import { Output } from './output.ts'
import { formatBytes, formatTime } from './units.ts'

/** The smallest lane that can be asked for; the sink that recovers fills none. */
const LANE_BYTES = '64k'

export const recover: Command = {
  name: 'recover',
  parameters: '[<log>…]',
  summary: 'write what dead processes have left in their lanes to their logs',
  description: `Records that were logged through a lane and not yet written when a process died wait in shared memory. Whoever opens
their log next writes them, and so does this command: those of the logs that are named (of a write-ahead log, a spool
and event files the folder), or of all logs. They are written with the options the process had, each record once. Lanes
of processes that live are left alone.`,
  options: () => ({
    dir: {
      type: 'string',
      value: 'folder',
      text: 'Look for lanes in this folder, too: that of `lane: { dir }`.'
    },
    'dry-run': { type: 'boolean', text: 'Show what waits, and write nothing.' },
    timeout: {
      type: 'string',
      value: 'seconds',
      text: 'How long to try where writing fails or a lock is held (30). What is left then still waits.'
    },
    json: { type: 'boolean', text: 'One JSON object per lane: path, kind, pid, records, bytes, state.' }
  }),
  examples: ['logboom recover --dry-run', 'logboom recover app.log'],
  async run(positionals, values) {
    const dir = values.dir as string | undefined
    const timeoutMs = timeOption('timeout', (values.timeout ?? '30') as string, 1000)
    const named = positionals.length === 0 ? [undefined] : positionals
    const found = named.flatMap((path) => waitingLanes(path, dir))
    const output = new Output()
    const tell = async (lane: WaitingLane, state: string): Promise<void> => {
      await output.text(values.json === true ? toJson(lane, state) : toText(lane, state))
    }
    let worst: ExitCode = exitCodes.fine
    if (values['dry-run'] === true) {
      for (const lane of found) await tell(lane, stateOf(lane))
    } else {
      for (const lanes of byLog(found)) {
        const failure = await writeOut(lanes, timeoutMs)
        if (failure !== undefined) {
          complain(errorMessage(failure))
          worst = exitCodes.io
        }
        for (const lane of lanes)
          await tell(lane, lane.isHeld ? 'held' : failure === undefined ? 'written' : 'left')
      }
      for (const lane of found.filter(({ failure }) => failure !== undefined)) {
        complain(`a lane in ${lane.folder.path} cannot be read: ${errorMessage(lane.failure)}`)
        worst = exitCodes.damaged
      }
    }
    await output.flush()
    return worst
  }
}

function stateOf({ isHeld, failure }: WaitingLane): string {
  if (failure !== undefined) return 'damaged'
  return isHeld ? 'held' : 'waiting'
}

/** Lanes that one sink takes over together. */
function byLog(found: readonly WaitingLane[]): WaitingLane[][] {
  const groups = new Map<string, WaitingLane[]>()
  for (const lane of found) {
    if (lane.failure !== undefined) continue
    const key = JSON.stringify([lane.path, lane.kind, lane.folder.path])
    groups.set(key, [...(groups.get(key) ?? []), lane])
  }
  return [...groups.values()]
}

/** What the writing failed with, if it did. */
async function writeOut(lanes: readonly WaitingLane[], timeoutMs: number): Promise<unknown> {
  const lane = lanes.find(({ isHeld }) => !isHeld)
  if (lane === undefined) return undefined
  const { path, kind, folder } = lane
  if (!isKind(kind)) {
    return new LogboomError(
      'ERR_UNSUPPORTED',
      `${path}: its lane is for a sink of kind '${kind}', which is not known`
    )
  }
  const stop = new AbortController()
  try {
    const options = {
      ...resumed(givenOptions(lane)),
      onFinished: undefined,
      lane: { dir: folder.path, maxBytes: LANE_BYTES }
    }
    const sink = (sinks[kind] as SinkKind).create(options as never)
    try {
      const timedOut = sleep(timeoutMs, undefined, { signal: stop.signal }).then(() => {
        const message = `${path}: what waits in its lane could not be written within ${timeoutMs} ms`
        throw sink.failure ?? new LogboomError('ERR_LOCK_TIMEOUT', message, { path })
      })
      timedOut.catch(() => {})
      await Promise.race([sink.flush(), timedOut])
    } finally {
      stop.abort()
      sink.hurry()
      await sink.close()
    }
  } catch (error) {
    return error
  }
  return undefined
}

function toJson({ path, kind, pid, records, bytes, sinceMs }: WaitingLane, state: string): string {
  return `${JSON.stringify({ path, kind, pid, since: formatTime(sinceMs), records, bytes, state })}\n`
}

const states: Record<string, string> = {
  waiting: 'wait for somebody to write them',
  written: 'written',
  left: 'could not be written and wait',
  held: 'in the lane of a process that lives, or being written',
  damaged: 'cannot be read'
}

function toText({ path, pid, records, bytes, sinceMs, failure, folder }: WaitingLane, state: string): string {
  if (failure !== undefined)
    return `${printable(folder.path)}: ${states[state]}: ${printable(errorMessage(failure))}\n`
  const what = records === undefined ? formatBytes(bytes) : `${records} records (${formatBytes(bytes)})`
  return `${printable(path)}: ${what} of process ${pid} since ${formatTime(sinceMs)}: ${states[state]}\n`
}
