import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { DirectFile, EventFiles } from '../../helpers/built.ts'
import { readDirectFile, readTexts } from '../../helpers/direct-file-reader.ts'
import { createFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

interface Subject {
  readonly path: string
  readonly codes: string[]
  log(text: string): void
  flush(): Promise<void>
  close(): Promise<void>
}

const kinds: Record<string, (folder: string) => Subject> = {
  'a direct file': (folder) => {
    const path = join(folder, 'logs', 'app.log')
    const file = new DirectFile({ path, fallback: false })
    const codes: string[] = []
    file.on('warning', ({ code }) => codes.push(code))
    return {
      path,
      codes,
      log: (text) => void file.log(text),
      flush: () => file.flush(),
      close: () => file.close()
    }
  },
  'a direct event file': (folder) => {
    const dir = join(folder, 'logs')
    const events = new EventFiles({ dir, output: 'direct-file', fallback: false })
    const codes: string[] = []
    events.on('warning', ({ code }) => codes.push(code))
    return {
      path: join(dir, 'app.log'),
      codes,
      log: (text) => void events.log('app', text),
      flush: () => events.flush(),
      close: () => events.close()
    }
  }
}

const before = ['before 0', 'before 1']
const after = ['after 0', 'after 1', 'after 2']

/** What is done to the file, and where the records from before are then. */
const changes: Record<string, (path: string) => string | undefined> = {
  removed: (path) => {
    rmSync(path)
    return undefined
  },
  'moved away': (path) => {
    renameSync(path, `${path}.moved`)
    return `${path}.moved`
  },
  'removed with its folder': (path) => {
    rmSync(dirname(path), { recursive: true })
    return undefined
  },
  'replaced by a copy of itself': (path) => {
    renameSync(path, `${path}.moved`)
    copyFileSync(`${path}.moved`, path)
    return `${path}.moved`
  },
  truncated: (path) => {
    truncateSync(path, 0)
    return undefined
  },
  'copied and truncated': (path) => {
    copyFileSync(path, `${path}.1`)
    truncateSync(path, 0)
    return `${path}.1`
  }
}

describe.each(Object.entries(kinds))('%s', (_, open) => {
  for (const [name, change] of Object.entries(changes)) {
    test(`that is ${name} goes on at its path, and says so`, async () => {
      const subject = open(createFolder())
      for (const text of before) subject.log(text)
      await subject.flush()
      const kept = change(subject.path)
      for (const text of after) subject.log(text)
      await subject.flush()
      const texts = readTexts(subject.path)
      expect(texts.slice(-after.length)).toEqual(after)
      expect(readDirectFile(subject.path).damage).toEqual([])
      if (kept !== undefined) expect(readTexts(kept)).toEqual(before)
      if (name !== 'replaced by a copy of itself') expect(texts).toEqual(after)
      expect(subject.codes).toEqual(['ERR_REPLACED'])
      await subject.close()
    })
  }

  test('that is cut in the middle is kept as a backup, and nothing of the rest is lost', async () => {
    const folder = createFolder()
    const subject = open(folder)
    for (const text of before) {
      subject.log(text)
      await subject.flush()
    }
    truncateSync(subject.path, statSync(subject.path).size - 512)
    for (const text of after) subject.log(text)
    await subject.close()
    expect(readTexts(subject.path)).toEqual(after)
    expect(subject.codes).toEqual(['ERR_REPLACED', 'ERR_CORRUPT'])
  })
})

test('a direct file replaced by a folder, a link or a file of others waits until it is gone, and touches nothing', async () => {
  const obstacles: Record<string, (path: string) => void> = {
    folder: (path) => mkdirSync(path),
    link: (path) => symlinkSync(`${path}.target`, path),
    text: (path) => writeFileSync(path, 'text of somebody else\n')
  }
  for (const [name, make] of Object.entries(obstacles)) {
    const path = join(createFolder(), 'app.log')
    const file = new DirectFile({ path, fallback: false })
    file.log('before')
    await file.flush()
    rmSync(path)
    make(path)
    file.log('after')
    const flushed = file.flush()
    await until(() => file.stats().state === 'degraded', { what: `${name}: degraded` })
    expect(existsSync(`${path}.target`)).toBe(false)
    if (name === 'text') expect(readFileSync(path, 'utf8')).toBe('text of somebody else\n')
    rmSync(path, { recursive: true })
    await flushed
    expect(readTexts(path), name).toEqual(['after'])
    await file.close()
    expect(file.stats()).toMatchObject({ records: 2, dropped: 0 })
  }
})

test('rotating a file that somebody replaced renames nothing of theirs', async () => {
  const path = join(createFolder(), 'app.log')
  const file = new DirectFile({ path, fallback: false })
  file.log('before')
  await file.flush()
  rmSync(path)
  writeFileSync(path, '')
  await file.rotate()
  file.log('after')
  await file.close()
  expect(readTexts(path)).toEqual(['after'])
})
