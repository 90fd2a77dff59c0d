// Another user in a folder that all may write to: puts links, folders and files of its own at the names in its argument, and
// removes them again, as fast as it can, until it is ended.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { createRandom } from './random.mjs'

const { names, target } = JSON.parse(process.argv[2])
const random = createRandom('neighbour')
const ways = [
  (path) => symlinkSync(target, path),
  (path) => symlinkSync('nowhere', path),
  (path) => mkdirSync(path),
  (path) => writeFileSync(path, 'not yours\n', { flag: 'wx', mode: 0o666 })
]
let taken = 0
process.on('SIGTERM', () => {
  for (const name of names) remove(name)
  process.stdout.write(`${taken}\n`, () => process.exit(0))
})
process.stdout.write('ready\n')

function remove(path) {
  try {
    rmSync(path, { recursive: true, force: true })
  } catch {
    // It belongs to somebody else.
  }
}

for (;;) {
  const path = names[Math.floor(random() * names.length)]
  try {
    ways[Math.floor(random() * ways.length)](path)
    taken++
    if (random() < 0.2) await delay(random() * 20)
    remove(path)
  } catch {
    // Somebody has put something there.
  }
  if (random() < 0.02) await delay(0)
}
