// Ships the entries of a write-ahead log to another file, each exactly once, although the shipper is killed at random
// moments. A snapshot hands out its entries until it is released, so none is missed; the index that is stored with
// each shipped line, in the same write, tells a second delivery from a first one.
// Prints: 10 kills; 3000 entries shipped, each exactly once and in order
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { WriteAheadLog } from 'logboom'

const ENTRIES = 3000
const KILLS = 10
const options = { walDir: 'data/wal', segmentBytes: '16k' }

if (process.argv[2] === 'shipper') await work()
else await supervise()

/** One life of the shipper: logs and ships until everything is done or it is killed. */
async function work() {
  const log = await WriteAheadLog.open(options)
  const shipped = openShipped('shipped.txt')
  process.send('open')
  for (;;) {
    const left = ENTRIES - Number(log.lastIndex)
    if (left > 0) await log.log(Array.from({ length: Math.min(20, left) }, (_, i) => `event ${i}`))
    const snapshot = await log.createSnapshot()
    if (snapshot === undefined) break
    for await (const { index, data } of snapshot.entries) shipped.add(index, data)
    // The order matters: what was shipped must be durable before the log may forget it.
    shipped.sync()
    await snapshot.release()
  }
  await log.close()
  process.exit()
}

/** The receiving file. Its last line says how far shipping got; a torn one is cut off. */
function openShipped(path) {
  const text = existsSync(path) ? readFileSync(path) : Buffer.alloc(0)
  const end = text.lastIndexOf(10) + 1
  const fd = openSync(path, 'a')
  ftruncateSync(fd, end)
  const lastLine = text.toString('utf8', 0, end).trimEnd().split('\n').at(-1)
  let last = lastLine === '' ? 0n : BigInt(lastLine.split(' ')[0])
  return {
    add(index, data) {
      if (index <= last) return
      writeSync(fd, `${index} ${data}\n`)
      last = index
    },
    sync: () => fsyncSync(fd),
    close: () => closeSync(fd)
  }
}

async function supervise() {
  let kills = 0
  for (;;) {
    const child = spawn(process.execPath, [process.argv[1], 'shipper'], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc']
    })
    const exited = once(child, 'exit')
    await Promise.race([once(child, 'message'), exited])
    if (kills < KILLS) {
      kills++
      setTimeout(() => child.kill('SIGKILL'), Math.random() * 20)
    }
    const [code] = await exited
    if (code === 0 && kills === KILLS) break
    if (code !== 0 && code !== null) throw new Error(`the shipper failed with exit code ${code}`)
  }
  const indices = readFileSync('shipped.txt', 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => Number(line.split(' ')[0]))
  const ordered = indices.every((index, i) => index === i + 1)
  console.log(
    `${kills} kills; ${indices.length} entries shipped, ${ordered ? 'each exactly once and in order' : 'NOT in order'}`
  )
}
