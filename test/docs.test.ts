import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, matchesGlob, relative } from 'node:path'
import { expect, test } from 'vitest'
import { errorTable } from '../src/base/errors.ts'
import { sinks } from '../src/core/registry.ts'

const root = dirname(import.meta.dirname)
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'].map((name) => join(root, name)),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(root, 'docs', name))
].map((path) => ({ path, name: relative(root, path), text: readFileSync(path, 'utf8') }))

/** The anchors GitHub gives the headings of a page. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.replaceAll(/^```.*?^```/gms, '').matchAll(/^#+ (.+)$/gm)].map((match) => match[1])
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-')
    )
  )
}

test.each(pages)('every link of $name leads to a file and heading that exist', ({ path, text }) => {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1])
  for (const link of links.filter((target) => !/^[a-z]+:/.test(target))) {
    const [file, anchor] = link.split('#')
    const target = file === '' ? path : join(dirname(path), file)
    expect(existsSync(target), link).toBe(true)
    if (anchor !== undefined) expect([...anchorsOf(readFileSync(target, 'utf8'))], link).toContain(anchor)
  }
})

test.each(pages)('every link of $name that leads to a file leads to one in the package', ({ path, text }) => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const packed: string[] = [...manifest.files, 'README.md', 'LICENSE']
  for (const [, link] of text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
    if (/^[a-z]+:/.test(link)) continue
    const target = relative(root, join(dirname(path), link))
    const isIn = packed.some((each) => {
      return (
        target === each ||
        target.startsWith(`${each}/`) ||
        matchesGlob(target, each) ||
        dirname(each) === target
      )
    })
    expect(isIn, link).toBe(true)
  }
})

test.each(pages)('every error code in $name is one of the table', ({ text }) => {
  for (const [code] of text.matchAll(/\bERR_[A-Z_]+\b/g)) expect(Object.keys(errorTable)).toContain(code)
})

test('the index of docs/ lists every page', () => {
  const index = readFileSync(join(root, 'docs/README.md'), 'utf8')
  for (const name of readdirSync(join(root, 'docs'))) {
    if (name.endsWith('.md') && name !== 'README.md') expect(index).toContain(`(${name})`)
  }
})

test('every sink has a page, every error code a heading', () => {
  for (const kind of Object.keys(sinks)) expect(existsSync(join(root, 'docs', `${kind}.md`)), kind).toBe(true)
  const anchors = anchorsOf(readFileSync(join(root, 'docs/errors.md'), 'utf8'))
  expect([...anchors]).toEqual(
    expect.arrayContaining(Object.keys(errorTable).map((code) => code.toLowerCase()))
  )
})

test('the README has at most 250 lines', () => {
  expect(readFileSync(join(root, 'README.md'), 'utf8').split('\n').length).toBeLessThanOrEqual(250)
})
