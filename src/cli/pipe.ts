// logboom pipe: stdin into a sink, for programs that are not written in JavaScript.
import { isKind, sinks } from '../core/registry.ts'
import type { Sink } from '../core/sink/contract.ts'
import { type Command, type ExitCode, exitCodes, UsageError } from './command.ts'
import { flagsOf, optionsFrom, unknownKind } from './sink-flags.ts'

const kinds = Object.keys(sinks)

export const pipe: Command = {
  name: 'pipe',
  parameters: '<kind> [options]',
  summary: `write stdin to a sink: ${kinds.join(', ')}`,
  description: `Takes the options of the sink as flags: maxBytes is --max-bytes. Ends when stdin ends, or on SIGTERM or SIGINT,
with everything written that was read. Exit code 3 if something could not be written.

Kinds: ${kinds.join(', ')}. "logboom help pipe <kind>" lists the options of a kind.`,
  options(args) {
    const kind = args.find(isKind)
    if (kind !== undefined) return flagsOf(sinks[kind].options)
    // Else it would be said that there is no such option.
    const [first = '-'] = args
    if (!first.startsWith('-')) throw unknownKind(first)
    return {}
  },
  examples: [
    './server 2>&1 | logboom pipe rotating-file --path server.log --max-bytes 10m --max-backups 5',
    'logboom pipe rotating-file --path app.log --rotate-every daily --compress gzip < input'
  ],
  async run(positionals, values) {
    const [kind, ...rest] = positionals
    if (kind === undefined) throw new UsageError(`no kind of sink; known kinds: ${kinds.join(', ')}`)
    if (!isKind(kind)) throw unknownKind(kind)
    if (rest.length > 0) throw new UsageError(`unexpected argument ${JSON.stringify(rest[0])}`)
    const { options, create } = sinks[kind]
    return pump(create(optionsFrom(options, values) as never))
  }
}

/** Stdin to the sink until it ends or a signal comes; then everything is written and the sink closed. */
async function pump(sink: Sink): Promise<ExitCode> {
  const { stdin } = process
  let signal: NodeJS.Signals | undefined
  const take = (chunk: Buffer): void => {
    if (sink.write(chunk)) return
    stdin.pause()
    sink.once('drain', () => {
      if (signal === undefined) stdin.resume()
    })
  }
  const interrupted = new Promise<void>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.once(name, () => {
        signal ??= name
        resolve()
      })
    }
  })
  stdin.on('data', take)
  // An error of stdin ends it, too: what came before it is written.
  const ended = new Promise<unknown>((resolve) => {
    stdin.once('end', () => resolve(undefined))
    stdin.once('error', resolve)
  })
  const error = await Promise.race([ended, interrupted])
  stdin.pause()
  stdin.off('data', take)
  for (let rest = stdin.read() as Buffer | null; rest !== null; rest = stdin.read() as Buffer | null)
    sink.write(rest)
  await sink.close()
  if (signal !== undefined) {
    // Ends as the signal demands, now that nothing can be lost.
    process.kill(process.pid, signal)
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
  if (error !== undefined) throw error
  return exitCodes.fine
}
