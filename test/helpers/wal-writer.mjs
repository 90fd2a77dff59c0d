// A process that logs batches from several callers until it is killed, and notes every resolved promise in a file
// elsewhere, and each call that was refused. Arguments as JSON: { options, acks, session, callers, snapshots, syncEvery }.
import { openSync, writeSync } from 'node:fs'
import { WriteAheadLog } from 'logboom'
import { createRandom } from './random.mjs'

const { options, acks, session, callers, snapshots, syncEvery = 17 } = JSON.parse(process.argv[2])
const random = createRandom(`session ${session}`)
const file = openSync(acks, 'a')
const log = await WriteAheadLog.open(options)

async function call(caller) {
  for (let number = 0; ; number++) {
    const count = 1 + ((number * 7 + caller) % 5)
    const id = `${session}-${caller}-${number}`
    const filler = 'x'.repeat((number * 997 + caller * 131) % 3000)
    const batch = Array.from({ length: count }, (_, i) => `${id} ${i} ${count} ${filler}`)
    const isSync = number % syncEvery === syncEvery - 1
    try {
      const { firstIndex, lastIndex } = isSync ? log.logSync(batch) : await log.log(batch)
      writeSync(file, `${firstIndex} ${lastIndex} ${id} ${count}\n`)
    } catch (error) {
      if (!isSync || error.code !== 'ERR_IO') throw error
      writeSync(file, `refused ${id}\n`)
    }
    if (isSync) await new Promise(setImmediate)
  }
}

async function consume() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    const snapshot = await log.createSnapshot()
    if (snapshot === undefined) continue
    for await (const { index } of snapshot.entries) if (index === 0n) throw new Error('index 0')
    // What cannot be noted is handed out again.
    await snapshot.release(random() < 0.5).catch(expectIoError)
  }
}

function expectIoError(error) {
  if (error.code !== 'ERR_IO') throw error
}

process.on('uncaughtException', (error) => {
  writeSync(2, `${error.stack}\n`)
  process.exit(7)
})
for (let caller = 0; caller < callers; caller++) call(caller)
if (snapshots) consume()
writeSync(1, 'ready\n')
