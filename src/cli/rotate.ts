// logboom rotate: rotates a text log now, under the lock its writers use.
import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorMessage, LogboomError } from '../base/errors.ts'
import { printable } from '../base/printable.ts'
import { RotatingFile } from '../core/rotating-file/rotating-file.ts'
import { lockFileName } from '../formats/lock-file.ts'
import { notFound } from '../readers/engine/context.ts'
import { isMissing, readError } from '../readers/engine/open-file.ts'
import { notedWay } from './adopt/new-names.ts'
import { type Command, complain, type ExitCode, exitCodes, timeOption, UsageError } from './command.ts'
import { keepOwner } from './keep-owner.ts'
import { Output } from './output.ts'

export const rotate: Command = {
  name: 'rotate',
  parameters: '<file>…',
  summary: 'rotate a text log now; its writers go on in the new file',
  description: `Renames the file to a backup and creates a new one with the same permissions and, when run as root, the same
owner. Writers of this package go on in the new file with their next batch. An empty file is left as it is.
Compression and removal of old backups are done by the writers, as their options say. Prints the names of the
backups.`,
  options: () => ({
    timeout: { type: 'string', value: 'seconds', text: 'How long to wait for the lock of the writers (10).' },
    json: { type: 'boolean', text: 'One JSON object per rotation: from, to, bytes.' }
  }),
  examples: ['logboom rotate app.log'],
  async run(positionals, values) {
    if (positionals.length === 0) throw new UsageError('no file to rotate')
    const timeoutMs = timeOption('timeout', (values.timeout ?? '10') as string, 1000)
    const output = new Output()
    let worst: ExitCode = exitCodes.fine
    for (const path of positionals) {
      try {
        const event = await rotateNow(path, timeoutMs)
        if (event === undefined) complain(`${path} is empty and was not rotated`)
        else
          await output.text(values.json === true ? `${JSON.stringify(event)}\n` : `${printable(event.to)}\n`)
      } catch (error) {
        complain(errorMessage(error))
        worst = exitCodes.io
      }
    }
    await output.flush()
    return worst
  }
}

async function rotateNow(path: string, timeoutMs: number) {
  const before = await stat(path).catch((error) => {
    throw isMissing(error) ? notFound(path) : readError(path, error)
  })
  const mode = (before.mode & 0o777).toString(8).padStart(3, '0')
  // Called as the writers call theirs.
  const { dir, name } = notedWay(path)
  const file = new RotatingFile({
    path,
    ...(name === undefined ? {} : { backupName: name }),
    ...(dir === undefined ? {} : { backupDir: resolve(dirname(path), dir) }),
    maxBytes: 0,
    mode,
    mkdir: false,
    foreignOwner: 'allow',
    fallback: false
  })
  const stop = new AbortController()
  try {
    const timedOut = sleep(timeoutMs, undefined, { signal: stop.signal }).then(() => {
      const text = `${path}: its lock is held by another process for more than ${timeoutMs} ms`
      throw new LogboomError('ERR_LOCK_TIMEOUT', text, { path })
    })
    timedOut.catch(() => {})
    return await Promise.race([file.rotate(), timedOut])
  } finally {
    stop.abort()
    await file.close()
    // Files that root created would lock out the writers.
    keepOwner([path, join(dirname(path), lockFileName(basename(path)))], before)
  }
}
