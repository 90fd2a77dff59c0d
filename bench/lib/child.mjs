// The measured process: loads the suite named in its argument, runs one contender and prints one JSON line. As one of
// several writers it first says `ready` and waits for the word on stdin.
import { once } from 'node:events'
import { startClock } from './clock.mjs'

async function main(context) {
  const { suite } = await import(`../suites/${context.suite}.mjs`)
  const contender = suite.contenders[context.contender]
  const result =
    context.writer === undefined ? await contender.run(context) : await runWriter(contender, context)
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

async function runWriter(contender, context) {
  const write = await contender.writer(context)
  process.stdout.write('ready\n')
  await once(process.stdin, 'data')
  process.stdin.pause()
  const stop = startClock()
  await write()
  return { records: context.records, ...stop() }
}

main(JSON.parse(process.argv[2]))
