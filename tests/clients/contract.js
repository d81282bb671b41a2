'use strict'
// All that a service in another language needs to know, read from docs/asyncapi.json: its queue,
// what it hears, who may say that, and what it has to look like.

const fs = require('node:fs')

class Contract {
  constructor (file, shop, service) {
    this.document = JSON.parse(fs.readFileSync(file, 'utf8'))
    this.shop = shop
    const hears = this.document.operations[`${service}.hears`]
    const channel = this.at(hears.channel)
    this.queue = this.named(channel.address)
    this.messages = Object.fromEntries(
      Object.entries(channel.messages).map(([type, ref]) => [type, this.at(ref)]))
    this.speakers = this.findSpeakers()
  }

  // What a {"$ref": "#/…"} refers to.
  at ({ $ref }) {
    return $ref.slice(2).split('/').reduce((part, step) => part[step], this.document)
  }

  named (text) {
    return text.replaceAll('{shop}', this.shop)
  }

  // Event type → the user who may say it.
  findSpeakers () {
    const says = Object.values(this.document.operations).filter(each => each.action === 'send')
    return Object.fromEntries(says.flatMap(operation => operation.messages.map(
      ref => [ref.$ref.split('/').pop(), this.named(operation.bindings.amqp.userId)])))
  }

  // The event in a message, or an Error that says why it is none. `us` is our own user's name.
  read ({ fields, properties, content }, us) {
    const headers = properties.headers ?? {}
    const type = headers['ce-type']
    if (!Object.hasOwn(this.messages, type)) throw new Error(`nobody has told us of ${type}`)
    // What comes through the default exchange was put into our queue by an operator.
    if (fields.exchange !== '') this.checkOrigin(type, fields.routingKey, properties.userId, us)
    const body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content))
    this.check('headers', this.messages[type].headers, headers)
    this.check('body', this.messages[type].payload, body)
    return { id: headers['ce-id'], type, body: { ...this.defaults(type), ...body } }
  }

  // What the fields mean that an event may leave out.
  defaults (type) {
    const fields = Object.entries(this.at(this.messages[type].payload).properties)
    return Object.fromEntries(fields.filter(([, field]) => 'default' in field)
      .map(([name, field]) => [name, field.default]))
  }

  checkOrigin (type, key, user, us) {
    if (key !== type) throw new Error(`${type} came under the routing key ${key}`)
    const speaker = us === this.queue ? this.speakers[type] : us // or all share one user
    if (user !== speaker) throw new Error(`${type} was said by ${user}, not by ${speaker}`)
  }

  // As much of JSON Schema as the document uses. Throws an Error for a value that does not fit.
  check (where, schema, value) {
    const must = (fits, what) => { if (!fits) throw new Error(`${where}: ${what}`) }
    if (schema.$ref) this.check(where, this.at(schema), value)
    for (const each of schema.allOf ?? []) this.check(where, each, value)
    if ('const' in schema) must(value === schema.const, `is not ${schema.const}`)
    if (schema.type) must(isA(schema.type, value), `is no ${schema.type}`)
    if (schema.pattern) must(new RegExp(schema.pattern).test(value), 'has another form')
    must(!(value < schema.minimum || value > schema.maximum), 'is out of bounds')
    const length = typeof value === 'string' ? [...value].length : NaN
    must(!(length < schema.minLength || length > schema.maxLength), 'has another length')
    for (const name of schema.required ?? []) must(Object.hasOwn(value, name), `lacks ${name}`)
    for (const [name, each] of Object.entries(schema.properties ?? {})) {
      if (Object.hasOwn(value, name)) this.check(`${where}.${name}`, each, value[name])
    }
  }
}

function isA (type, value) {
  if (type === 'integer') return Number.isSafeInteger(value)
  if (type === 'object') return value !== null && typeof value === 'object' && !Array.isArray(value)
  return type === 'array' ? Array.isArray(value) : typeof value === type
}

// Under these keys the services count what they have said and heard: no events.
const isCount = message => /\.(tally|missing|echo)$/.test(message.fields.routingKey)

module.exports = { Contract, isCount }
