// The pages of docs/recipes as such. That they work is for the long run: each is followed by a test of this folder.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { blocksOf, pin } from './recipe.ts'

const folder = join(import.meta.dirname, '../../docs/recipes')
const pages = readdirSync(folder).map((name) => name.replace('.md', ''))
const recipes = pages.filter((page) => page !== 'README')
const tests = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'))

test.each(recipes)('%s is in the index, and followed by a test', (page) => {
  expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain(`(${page}.md)`)
  expect(tests.some((text) => text.includes(`'${page}'`))).toBe(true)
})

test.each(recipes)(
  '%s has no code that is neither a file nor a command, and installs what is pinned',
  (page) => {
    const blocks = blocksOf(page)
    const fences = readFileSync(join(folder, `${page}.md`), 'utf8').match(/^ *```/gm) ?? []
    expect(fences).toHaveLength(2 * blocks.length)
    for (const { language, file, text } of blocks) {
      expect(file ?? language).toMatch(/\.|^Dockerfile$|^sh$|^crontab$/)
      if (language !== 'sh' || file !== undefined) continue
      for (const [, names] of text.matchAll(/^npm install (?:-D )?(.+)$/gm)) {
        for (const name of names
          .replace(/--prefix \S+/, '')
          .trim()
          .split(' ')) {
          expect(name === 'logboom' || pin(name)).toBeTruthy()
        }
      }
    }
  }
)
