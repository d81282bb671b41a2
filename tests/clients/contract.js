'use strict'
// All that a service in another language needs to know, read from docs/asyncapi.json: its queue,
// what it hears, who may say that, and what it has to look like.

const fs = require('node:fs')
const Ajv = require('ajv')

class Contract {
  constructor (file, shop, service) {
    this.document = JSON.parse(fs.readFileSync(file, 'utf8'))
    this.shop = shop
    this.schemas = new Ajv({ strict: false, useDefaults: true, validateSchema: false })
    this.schemas.addSchema(this.document, 'asyncapi')
    const consumes = this.document.operations[`${service}.consumes`]
    const channel = this.at(consumes.channel)
    this.queue = this.named(channel.address)
    this.messages = Object.keys(channel.messages)
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
    if (!this.messages.includes(type)) throw new Error(`nobody has told us of ${type}`)
    // What comes through the default exchange was put into our queue by an operator.
    if (fields.exchange !== '') this.checkOrigin(type, fields.routingKey, properties.userId, us)
    const body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content))
    this.check(type, 'headers', headers)
    this.check(type, 'payload', body)
    return { id: headers['ce-id'], type, body }
  }

  checkOrigin (type, key, user, us) {
    if (key !== type) throw new Error(`${type} came under the routing key ${key}`)
    const speaker = us === this.queue ? this.speakers[type] : us // or all share one user
    if (user !== speaker) throw new Error(`${type} was said by ${user}, not by ${speaker}`)
  }

  // Throws an Error for a value that does not fit its schema; fills in what it leaves out.
  check (type, part, value) {
    const fits = this.schemas.getSchema(`asyncapi#/components/messages/${type}/${part}`)
    if (!fits(value)) throw new Error(this.schemas.errorsText(fits.errors, { dataVar: part }))
  }
}

// Under these keys the services count what they have said and heard: no events.
const isCount = message => /\.(tally|missing|echo)$/.test(message.fields.routingKey)

module.exports = { Contract, isCount }
