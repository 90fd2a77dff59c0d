// logboom ship: a log to object storage or a store of logs, going on where it stopped.
import { readFileSync } from 'node:fs'
import { errorMessage, LogboomError } from '../base/errors.ts'
import { Shipper, shipperOptions } from '../ship/shipper.ts'
import type { ShipTarget } from '../ship/target.ts'
import { createElasticsearchTarget } from '../ship/targets/elasticsearch.ts'
import { createLokiTarget } from '../ship/targets/loki.ts'
import { createS3Target } from '../ship/targets/s3.ts'
import { type CliValues, type Command, complain, type ExitCode, exitCodes, UsageError } from './command.ts'
import { flagsOf, optionsFrom } from './sink-flags.ts'

const targets = ['s3', 'elasticsearch', 'loki']
const TOKEN_VARIABLE = 'LOGBOOM_SHIP_AUTHORIZATION'

export const ship: Command = {
  name: 'ship',
  parameters: '<log> --to <target> --url <url> [options]',
  summary: `send a log to another store: ${targets.join(', ')}`,
  description: `Reads a log of any format and sends its records in batches, going on behind its checkpoint after a restart. Says
at the start what is guaranteed. Goes on with what is appended until SIGTERM or SIGINT; with --no-follow it ends
at the end of the log. While the target cannot be reached it tries again.

Targets
  s3             the url is https://<endpoint>/<bucket>/<prefix>; needs the package aws4fetch, and
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment
  elasticsearch  the url is that of the _bulk request, for example https://host:9200/logs-app/_bulk
  loki           the url is that of the push request, for example https://host:3100/loki/api/v1/push

For the last two the header "authorization" is taken from the environment (${TOKEN_VARIABLE}) or from
--authorization-file. Secrets are not taken from the command line.`,
  options: () => ({
    to: { type: 'string', value: 'target', text: `Where to: ${targets.join(', ')}.` },
    url: { type: 'string', value: 'url', text: 'Of the target, without user and password.' },
    region: { type: 'string', value: 'name', text: 'Of S3. Default: us-east-1.' },
    'authorization-file': {
      type: 'string',
      value: 'file',
      text: 'A file with the header authorization, for example "Bearer …".'
    },
    ...flagsOf(shipperOptions)
  }),
  examples: [
    'logboom ship app.log --to s3 --url https://s3.eu-central-1.amazonaws.com/bucket/logs --region eu-central-1',
    'logboom ship data/wal --to elasticsearch --url https://search:9200/logs-app/_bulk',
    'logboom ship app.log --to loki --url http://loki:3100/loki/api/v1/push --no-follow'
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
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void shipper.stop())
  complain(`${name}: ${guarantee}; checkpoint ${shipper.checkpointPath}`)
  await shipper.run()
  const { records, batches, rejected, skippedBytes } = shipper.stats()
  if (skippedBytes > 0) complain(`${name}: ${skippedBytes} bytes of the log are damaged and were passed over`)
  complain(`${name}: ${records} records in ${batches} batches, ${rejected} of them refused`)
  return rejected + skippedBytes > 0 ? exitCodes.damaged : exitCodes.fine
}

async function targetOf(values: CliValues): Promise<ShipTarget> {
  const { to, url, region, 'authorization-file': file } = values as Record<string, string | undefined>
  if (to === undefined || !targets.includes(to))
    throw new UsageError(
      `--to must be ${targets.join(', ')}${to === undefined ? '' : `, got ${JSON.stringify(to)}`}`
    )
  requireUrl(url)
  if (to === 's3') return await createS3Target(region === undefined ? { url } : { url, region })
  const authorization = file === undefined ? process.env[TOKEN_VARIABLE] : secretIn(file)
  return to === 'loki'
    ? createLokiTarget({ url, authorization })
    : createElasticsearchTarget({ url, authorization })
}

function requireUrl(url: string | undefined): asserts url is string {
  if (url === undefined) throw new UsageError('--url is missing')
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol))
    throw new UsageError('--url must be one of http or https')
  if (parsed.username !== '' || parsed.password !== '')
    throw new UsageError('--url must not hold user and password: other users of the machine see them')
}

function secretIn(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new LogboomError('ERR_IO', `cannot read ${file}: ${errorMessage(error)}`, {
      path: file,
      cause: error
    })
  }
}
