import {expect, test} from "@odoo/hoot";
import {queryAll, queryAllTexts, resize} from "@odoo/hoot-dom";
import {animationFrame} from "@odoo/hoot-mock";
import {defineMailModels} from "@mail/../tests/mail_test_helpers";
import {
    contains,
    defineModels,
    fields,
    models,
    mountView,
} from "@web/../tests/web_test_helpers";
import {layoutFlow} from "@qms_sop/components/flow/flow_layout";

const choice = (name, target, values = {}) => ({
    name,
    target,
    category: false,
    ...values,
});

/** 1 Up? (no → 2, yes → 3) · 2 Restart (→ 4) · 3 Slow? (yes → 4, no → end) · 4 Report */
const TREE = [
    {number: 1, name: "Up?", choices: [choice("No", 2), choice("Yes", 3)]},
    {number: 2, name: "Restart", choices: [choice("Running", 4)]},
    {
        number: 3,
        name: "Slow?",
        choices: [choice("Quick", 5), choice("Slow", 4, {category: "DATABASE"})],
    },
    {number: 4, name: "Report", choices: []},
];

const overlap = (a, b) =>
    a.left < b.left + b.width &&
    b.left < a.left + a.width &&
    a.top < b.top + b.height &&
    b.top < a.top + a.height;

test("every line leads down, and no two boxes touch", () => {
    const {nodes, edges, width, height} = layoutFlow(TREE);
    const byKey = Object.fromEntries(nodes.map((node) => [node.key, node]));

    expect(Object.keys(byKey)).toHaveLength(4 + 5 + 1);
    expect(edges).toHaveLength(2 * 5 + 1);
    for (const {from, to} of edges) {
        expect(byKey[from].top + byKey[from].height).toBeLessThan(byKey[to].top);
    }
    nodes.forEach((a, index) => {
        for (const b of nodes.slice(index + 1)) {
            expect(overlap(a, b)).toBe(false);
        }
        expect(a.left).toBeGreaterThan(-1);
        expect(a.left + a.width).toBeLessThan(width + 1);
        expect(a.top + a.height).toBeLessThan(height + 1);
    });
    // Both questions below the first one, on the same height
    expect(byKey.step_2.top).toBe(byKey.step_3.top);
    expect(byKey.step_2.left).not.toBe(byKey.step_3.left);
});

test("lines that pass other steps keep clear of them", () => {
    const steps = [1, 2, 3, 4].map((number) => ({
        number,
        name: `Step ${number}`,
        choices: number === 1 ? [choice("On", 2), choice("Last", 4)] : [],
    }));
    const {nodes, edges} = layoutFlow(steps);
    const byKey = Object.fromEntries(nodes.map((node) => [node.key, node]));
    const long = edges.find(({to}) => to === "step_4");
    const points = [...long.path.matchAll(/L (\d+) /g)].map(([, x]) => Number(x));

    expect(points.length).toBeGreaterThan(0);
    for (const x of points) {
        for (const {left, width} of [byKey.step_2, byKey.step_3]) {
            expect(x <= left || x >= left + width).toBe(true);
        }
    }
});

test("an empty procedure has an empty picture", () => {
    expect(layoutFlow([])).toEqual({width: 0, height: 0, nodes: [], edges: []});
});

class Procedure extends models.Model {
    _name = "procedure";
    flow = fields.Json();
    _records = [
        {id: 1, flow: TREE},
        {
            id: 2,
            flow: TREE.map((step, index) => ({
                ...step,
                state: ["completed", "skipped", "in_progress", "pending"][index],
                off_path: index === 1,
                choices: step.choices.map((offer) => ({
                    ...offer,
                    taken: offer.name === "Yes",
                })),
            })),
        },
    ];
}

defineMailModels();
defineModels([Procedure]);

const open = async (resId) => {
    await mountView({
        type: "form",
        resModel: "procedure",
        resId,
        arch: `<form><field name="flow" widget="qms_flow"/></form>`,
    });
    // The picture waits to know how much room there is.
    await contains(".o_qms_flow").click();
    await animationFrame();
};

test.tags("desktop");
test("the picture of a document", async () => {
    await open(1);
    expect(".o_qms_flow_picture .o_qms_flow_step").toHaveCount(4);
    expect(queryAllTexts(".o_qms_flow_choice .o_qms_flow_label").sort()).toEqual([
        "No",
        "Quick",
        "Running",
        "Slow",
        "Yes",
    ]);
    expect(".o_qms_flow_choice:contains(Slow)").toHaveText("Slow\nDATABASE");
    expect(".o_qms_flow_end").toHaveCount(1);
    expect(".o_qms_flow_picture svg > path").toHaveCount(11);
    expect(".o_qms_flow_taken").toHaveCount(0);
    // The same for those who cannot see it
    expect("ol.visually-hidden > li").toHaveCount(4);
    expect("ol.visually-hidden > li:eq(2) li:eq(0)").toHaveText("Quick → End");
});

test.tags("desktop");
test("the path that a run took", async () => {
    await open(2);
    expect(".o_qms_flow_step.o_qms_flow_state_completed").toHaveText("1. Up?");
    expect(".o_qms_flow_step.o_qms_flow_muted").toHaveText("2. Restart");
    expect(".o_qms_flow_choice.o_qms_flow_taken").toHaveText("Yes");
    expect(".o_qms_flow_picture path.o_qms_flow_taken").toHaveCount(2);
    expect("ol > li:eq(1)").toHaveText(/not on this path/);
});

test.tags("desktop");
test("where the picture has no room, the list is shown", async () => {
    await resize({width: 300});
    await open(2);
    expect(".o_qms_flow_picture").toHaveCount(0);
    expect("ol.o_qms_flow_list").toBeVisible();
    expect(queryAll("ol.o_qms_flow_list .o_qms_flow_taken")).toHaveLength(1);
});
