// logboom ship: a log to object storage or a store of logs, going on where it stopped.
import { setFlagsFromString } from 'node:v8'
import { errorMessage } from '../base/errors.ts'
import { FolderShipper } from '../ship/folder-shipper.ts'
import { parseShipperOptions, shipperOptions } from '../ship/options.ts'
import { Shipper } from '../ship/shipper.ts'
import { isFolderOfLogs } from '../ship/source.ts'
import type { ShipTarget } from '../ship/target.ts'
import { type Command, complain, type ExitCode, exitCodes, UsageError } from './command.ts'
import { describeTargets, targetFlags, targetNames, targetsOf } from './ship-targets.ts'
import { flagsOf, optionsFrom } from './sink-flags.ts'

export const ship: Command = {
  name: 'ship',
  parameters: '<log or folder> --to <target> --url <url> [options]',
  summary: `send a log to another store: ${targetNames.join(', ')}`,
  description: `Reads a log of any format and sends its records in batches, going on behind its checkpoint after a restart. Says
at the start what is guaranteed. Goes on with what is appended until SIGTERM or SIGINT; with --no-follow it ends
at the end of the log. While the target cannot be reached it tries again.

Of a folder of logs, such as files of events, all are shipped, also those that appear later, each with a checkpoint of its
own. What the log is called in the folder is the field "event" (elasticsearch), the label "event" (loki), the attribute
event.name (otlp), the end of the subject and of the transactional id, or the key (kafka).

Targets
${describeTargets()}`,
  options: () => ({
    to: { type: 'string', value: 'target', text: `Where to: ${targetNames.join(', ')}.` },
    ...targetFlags,
    ...flagsOf(shipperOptions)
  }),
  examples: [
    'logboom ship app.log --to s3 --url https://s3.eu-central-1.amazonaws.com/bucket/logs --region eu-central-1',
    'logboom ship data/wal --to elasticsearch --url https://search:9200/logs-app/_bulk',
    'logboom ship app.log --to loki --url http://loki:3100/loki/api/v1/push --no-follow',
    'logboom ship app.log --to jetstream --url nats://nats:4222 --subject logs.web1.app',
    'logboom ship app.log --to kafka --url kafka://kafka:9092 --topic logs',
    'logboom ship app.log --to otlp --url http://collector:4318/v1/logs --service shop'
  ],
  async run(positionals, values) {
    const [source, ...rest] = positionals
    if (source === undefined) throw new UsageError('name a log')
    if (rest.length > 0) throw new UsageError(`unexpected argument ${JSON.stringify(rest[0])}`)
    const createTarget = targetsOf(values)
    const options = optionsFrom(shipperOptions, values)
    const { follow } = parseShipperOptions(options)
    boundGarbage()
    const target = await createTarget()
    const stop = new AbortController()
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort())
    if (await isFolderOfLogs(source, follow, stop.signal))
      return await runFolder(
        new FolderShipper({ ...options, source, target: createTarget }),
        target,
        stop.signal
      )
    return await runShipper(new Shipper({ ...options, source, target }), target, stop.signal)
  }
}

async function runShipper(
  shipper: Shipper,
  { name, guarantee }: ShipTarget,
  stop: AbortSignal
): Promise<ExitCode> {
  tellTrouble(shipper, name)
  shipper.on('rejected', (refusals) =>
    complain(`${name}: ${refusals.length} refused, kept in ${shipper.rejectedPath}: ${refusals[0].reason}`)
  )
  shipper.on('lost', (error) => complain(`${name}: ${errorMessage(error)}; going on behind them`))
  complain(`${name}: ${guarantee}; checkpoint ${shipper.checkpointPath}`)
  await runUntil(stop, shipper)
  return summary(name, shipper.stats())
}

/**
 * The garbage of a batch is all that there is of it, and V8 lets it grow to 32 MB before it looks (128 MB with Node 24). The
 * process is this command's, so that it may pay for less memory with a fifth more processor time.
 */
function boundGarbage(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}

async function runFolder(
  shipper: FolderShipper,
  { name, guarantee }: ShipTarget,
  stop: AbortSignal
): Promise<ExitCode> {
  tellTrouble(shipper, name)
  shipper.on('rejected', (refusals, path) =>
    complain(`${name}: ${refusals.length} refused, kept in ${path}: ${refusals[0].reason}`)
  )
  shipper.on('lost', (error) => complain(`${name}: ${errorMessage(error)}`))
  shipper.on('failed', (error) => complain(`${name}: ${errorMessage(error)}; the other logs go on`))
  complain(`${name}: of each log in the folder, ${guarantee}`)
  await runUntil(stop, shipper)
  return summary(name, shipper.stats())
}

async function runUntil(
  stop: AbortSignal,
  shipper: { run(): Promise<void>; stop(): Promise<void> }
): Promise<void> {
  stop.addEventListener('abort', () => void shipper.stop())
  if (stop.aborted) await shipper.stop()
  await shipper.run()
}

function tellTrouble(shipper: Shipper | FolderShipper, name: string): void {
  const each = shipper as Shipper
  each.on('degraded', (error) => complain(`${name}: ${errorMessage(error)}; trying again`))
  each.on('recovered', () => complain(`${name}: works again`))
  each.on('warning', (error) => complain(errorMessage(error)))
}

function summary(
  name: string,
  stats: { records: number; batches: number; rejected: number; skippedBytes: number; losses: number }
): ExitCode {
  const { records, batches, rejected, skippedBytes, losses } = stats
  if (skippedBytes > 0) complain(`${name}: ${skippedBytes} bytes of the log are damaged and were passed over`)
  complain(`${name}: ${records} records in ${batches} batches, ${rejected} of them refused`)
  return rejected + skippedBytes + losses > 0 ? exitCodes.damaged : exitCodes.fine
}
