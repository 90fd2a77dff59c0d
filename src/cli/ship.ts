// logboom ship: a log to object storage or a store of logs, going on where it stopped.
import { errorMessage } from '../base/errors.ts'
import { shipperOptions } from '../ship/options.ts'
import { Shipper } from '../ship/shipper.ts'
import type { ShipTarget } from '../ship/target.ts'
import { type Command, complain, type ExitCode, exitCodes, UsageError } from './command.ts'
import { describeTargets, targetFlags, targetNames, targetOf } from './ship-targets.ts'
import { flagsOf, optionsFrom } from './sink-flags.ts'

export const ship: Command = {
  name: 'ship',
  parameters: '<log> --to <target> --url <url> [options]',
  summary: `send a log to another store: ${targetNames.join(', ')}`,
  description: `Reads a log of any format and sends its records in batches, going on behind its checkpoint after a restart. Says
at the start what is guaranteed. Goes on with what is appended until SIGTERM or SIGINT; with --no-follow it ends
at the end of the log. While the target cannot be reached it tries again.

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
    const target = await targetOf(values)
    const shipper = new Shipper({ ...optionsFrom(shipperOptions, values), source, target })
    return await runShipper(shipper, target)
  }
}

async function runShipper(shipper: Shipper, { name, guarantee }: ShipTarget): Promise<ExitCode> {
  shipper.on('degraded', (error) => complain(`${name}: ${errorMessage(error)}; trying again`))
  shipper.on('recovered', () => complain(`${name}: works again`))
  shipper.on('rejected', (refusals) =>
    complain(`${name}: ${refusals.length} refused, kept in ${shipper.rejectedPath}: ${refusals[0].reason}`)
  )
  shipper.on('warning', (error) => complain(errorMessage(error)))
  shipper.on('lost', (error) => complain(`${name}: ${errorMessage(error)}; going on behind them`))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void shipper.stop())
  complain(`${name}: ${guarantee}; checkpoint ${shipper.checkpointPath}`)
  await shipper.run()
  const { records, batches, rejected, skippedBytes, losses } = shipper.stats()
  if (skippedBytes > 0) complain(`${name}: ${skippedBytes} bytes of the log are damaged and were passed over`)
  complain(`${name}: ${records} records in ${batches} batches, ${rejected} of them refused`)
  return rejected + skippedBytes + losses > 0 ? exitCodes.damaged : exitCodes.fine
}
