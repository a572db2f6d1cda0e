// Azure's client for JavaScript against the local Service Bus. It has an AMQP codec of its own
// (rhea), and it says what the client for Python can't: properties changed on settlement.
// CONNECTION_STRING names the bus; NODE_PATH leads to the package.
const assert = require('node:assert/strict')
const { after, before, beforeEach, test } = require('node:test')
const { ServiceBusClient } = require('@azure/service-bus')

const Long = require('long')

const queues = process.env.QUEUES.split(' ')
// The client settles no message without an id.
const message = { body: 'a', messageId: 'm-1' }
let client, sender, receiver, deadLetters, queue

before(() => { client = new ServiceBusClient(process.env.CONNECTION_STRING) })
after(() => client.close())
beforeEach(() => {
  queue = queues.shift()
  sender = client.createSender(queue)
  receiver = client.createReceiver(queue)
  deadLetters = client.createReceiver(queue, { subQueueType: 'deadLetter' })
})

async function receiveOne (from = receiver) {
  const [message] = await from.receiveMessages(1, { maxWaitTimeInMs: 10_000 })
  assert.ok(message, 'a message arrives')
  return message
}

test('a message arrives with all that it was sent with', async () => {
  const sent = {
    body: { flow: '1', steps: [1, 2.5, null, 'ü'] },
    messageId: 'm-1',
    correlationId: 'event-1',
    subject: 'step',
    contentType: 'application/json',
    applicationProperties: { attempt: 3, ratio: 0.5, final: true, name: 'x' }
  }
  await sender.sendMessages(sent)

  const received = await receiveOne()

  for (const name of Object.keys(sent)) assert.deepEqual(received[name], sent[name], name)
  assert.deepEqual([received.sequenceNumber.toString(), received.deliveryCount], ['1', 0])
  await receiver.completeMessage(received)
  assert.deepEqual(await receiver.peekMessages(1), [])
})

test('properties changed with abandon stay with the message', async () => {
  await sender.sendMessages({ ...message, applicationProperties: { kept: 1, changed: 1 } })
  await receiver.abandonMessage(await receiveOne(), { changed: 'two', added: true })

  const again = await receiveOne()

  assert.deepEqual(again.applicationProperties, { kept: 1, changed: 'two', added: true })
  assert.equal(again.deliveryCount, 1)
})

test('properties changed with dead-letter stand beside the reason', async () => {
  await sender.sendMessages({ ...message, applicationProperties: { kept: 1 } })
  await receiver.deadLetterMessage(await receiveOne(), {
    deadLetterReason: 'unreadable', deadLetterErrorDescription: 'no JSON', added: 2
  })

  const dead = await receiveOne(deadLetters)

  assert.deepEqual(
    [dead.deadLetterReason, dead.deadLetterErrorDescription, dead.applicationProperties.kept,
      dead.applicationProperties.added],
    ['unreadable', 'no JSON', 1, 2])
})

test('a deferred message comes by its number, with its changed properties', async () => {
  await sender.sendMessages(message)
  const received = await receiveOne()
  await receiver.deferMessage(received, { step: 'second' })
  assert.equal((await receiver.peekMessages(1))[0].state, 'deferred')

  const [deferred] = await receiver.receiveDeferredMessages(received.sequenceNumber)

  assert.equal(deferred.applicationProperties.step, 'second')
  await receiver.renewMessageLock(deferred)
  await receiver.completeMessage(deferred)
  await assert.rejects(receiver.receiveDeferredMessages(received.sequenceNumber),
    { code: 'MessageNotFound' })
})

test('a scheduled message can be cancelled, a duplicate is dropped', async () => {
  const due = new Date(Date.now() + 3_600_000)
  const [number] = await sender.scheduleMessages([{ body: 'later' }], due)
  assert.equal((await receiver.peekMessages(1))[0].state, 'scheduled')
  await sender.cancelScheduledMessages(number)

  await sender.sendMessages([{ body: 'a', messageId: '1' }, { body: 'b', messageId: '1' }])

  assert.deepEqual((await receiver.peekMessages(9)).map(each => each.body), ['a'])
})

test('messages of several frames, and many at once, each once', async () => {
  const batch = await sender.createMessageBatch()
  const bodies = Array.from({ length: 2000 }, (_, index) => `${index}`)
  for (const body of bodies) assert.ok(batch.tryAddMessage({ body, messageId: body }))
  await sender.sendMessages(batch)
  await sender.sendMessages({ body: 'x'.repeat(200_000), messageId: 'x' })

  const seen = []
  const subscription = receiver.subscribe({
    processMessage: async message => { seen.push(message.body) },
    processError: async ({ error }) => { throw error }
  }, { maxConcurrentCalls: 50 })
  while ((await receiver.peekMessages(1, { fromSequenceNumber: Long.ONE })).length > 0);
  await subscription.close()

  assert.deepEqual(seen.filter(body => body.length < 10).sort(), bodies.sort())
  assert.equal(seen.filter(body => body.length === 200_000).length, 1)
})

test('a receiver that waits in vain gives its credit back', async () => {
  await sender.sendMessages(message)
  const received = await receiver.receiveMessages(5, { maxWaitTimeInMs: 300 })
  await sender.sendMessages({ ...message, messageId: 'm-2' })

  const other = await receiveOne(client.createReceiver(queue))

  assert.deepEqual([received.length, other.messageId], [1, 'm-2'])
})

test('a queue that is not there is refused with the error for it', async () => {
  await assert.rejects(client.createSender('nowhere').sendMessages(message),
    { code: 'MessagingEntityNotFound' })
})
