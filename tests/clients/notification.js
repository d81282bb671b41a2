'use strict'
// The notification service in another language, written from docs/asyncapi.json alone.
//
//   node notification.js ASYNCAPI MAILS
//
// Writes each mail that it would send as one line of JSON to MAILS, which is also its memory:
// killed and started again, it goes on where it was. Stops when its standard input is closed.

const fs = require('node:fs')
const amqp = require('amqplib')
const { Contract, isCount } = require('./contract.js')

const AT_ONCE = 100 // messages in hand, at most

class Mails {
  constructor (file) {
    const text = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : ''
    const whole = text.slice(0, text.lastIndexOf('\n') + 1) // a crash may leave half a line
    fs.writeFileSync(file, whole)
    this.file = fs.openSync(file, 'a')
    this.sent = whole.split('\n').filter(Boolean).map(line => JSON.parse(line))
    this.handled = new Set(this.sent.map(mail => mail.id))
    this.told = new Set(this.sent.map(mail => `${mail.about} ${mail.order_id}`))
  }

  // When this returns, the mail survives a crash.
  send (mail) {
    fs.writeSync(this.file, JSON.stringify(mail) + '\n')
    fs.fsyncSync(this.file)
    this.handled.add(mail.id)
    this.told.add(`${mail.about} ${mail.order_id}`)
  }
}

const pounds = pence => `£${(pence / 100).toFixed(2)}`

const confirmed = ({ order_id: id, total }) => ({
  about: 'confirmed',
  subject: `Order #${id} Confirmed`,
  body: `Good news: your order is confirmed. We have taken ${pounds(total)}.`
})

const cancelled = ({ order_id: id, reason }) => {
  const outOfStock = reason === 'insufficient stock'
  return {
    about: 'cancelled',
    subject: `${outOfStock ? 'Out of Stock - ' : ''}Order #${id} Cancelled`,
    body: `${outOfStock ? 'Sorry, out of stock.' : `Sorry: ${reason}.`} You pay nothing.`
  }
}

const refunded = ({ order_id: id, amount }) => ({
  about: 'refunded',
  subject: `Refund for Order #${id}`,
  body: `${pounds(amount)} is on its way back to your card.`
})

const LETTERS = {
  'order.confirmed': confirmed,
  'order.cancelled': cancelled,
  'inventory.failed': cancelled,
  'inventory.expired': cancelled,
  'payment.failed': cancelled,
  'payment.refunded': refunded
}

// Each customer is told an outcome once, and never a confirmation after a cancellation.
function tell ({ id, type, body }, mails) {
  if (mails.handled.has(id)) return
  const { order_id: orderId, customer: to } = body
  const letter = LETTERS[type](body)
  const stale = letter.about === 'confirmed' && mails.told.has(`cancelled ${orderId}`)
  if (stale || mails.told.has(`${letter.about} ${orderId}`)) return
  mails.send({ id, order_id: orderId, to, ...letter })
}

// Whoever started us starts us again.
function stop (why) {
  console.error(why)
  process.exit(1)
}

async function main ([document, file]) {
  const url = new URL(process.env.ECOM_AMQP_URL)
  const contract = new Contract(document, process.env.ECOM_SHOP, 'notification')
  const mails = new Mails(file)
  const connection = await amqp.connect(url.href)
  connection.on('error', stop)
  connection.on('close', stop)
  const channel = await connection.createChannel()
  await channel.prefetch(AT_ONCE)

  function take (message) {
    if (message === null) stop('our queue is gone')
    try {
      if (!isCount(message)) tell(contract.read(message, decodeURIComponent(url.username)), mails)
    } catch (error) {
      if (error.syscall) stop(error) // it is the disk, not the message: that stays in the queue
      console.error(`Set aside: ${error.message}`)
      channel.reject(message, false)
      return
    }
    channel.ack(message)
  }

  await channel.consume(contract.queue, take)
  console.log('ready')
  process.stdin.on('end', () => process.exit(0)).resume()
}

main(process.argv.slice(2)).catch(stop)
