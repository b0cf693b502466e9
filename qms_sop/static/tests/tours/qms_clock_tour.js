import {registry} from "@web/core/registry";

registry.category("web_tour.tours").add("qms_clock_tour", {
    steps: () => [
        {
            content: "The list says what is overdue, by how much",
            trigger: ".o_data_row .o_qms_clock_breached:contains(overdue)",
        },
        {
            trigger: ".o_data_row:has(.o_qms_clock_breached) td[name=name]",
            run: "click",
        },
        {
            content: "The mitigation is overdue",
            trigger: "div[name=mitigation_sla] .o_qms_clock_breached:contains(overdue)",
        },
        {
            content: "The clock ticks",
            trigger: "div[name=response_sla] .o_qms_clock_text:contains(overdue)",
            async run({anchor, waitUntil}) {
                const before = anchor.textContent;
                await waitUntil(() => anchor.textContent !== before, {timeout: 5000});
            },
        },
        {trigger: "button[name=action_acknowledge]", run: "click"},
        {
            content: "The response clock has stopped, too late",
            trigger: "div[name=response_sla] .o_qms_clock_text:contains(after)",
        },
        {trigger: "a[name=times]", run: "click"},
        {
            content: "Who took it on is told",
            trigger: "div[name=acknowledged_by_id]:contains(qms_operator)",
        },
        {trigger: "button:contains(Tell or correct times)", run: "click"},
        {
            content: "What is known is in the dialog",
            trigger: ".modal div[name=acknowledged_at]:contains(:)",
        },
        {trigger: ".modal button[special=cancel]", run: "click"},
        {trigger: "body:not(:has(.modal)) button[name=action_mitigate]", run: "click"},
        {
            content: "The mitigation clock has stopped",
            trigger: "div[name=mitigation_sla] .o_qms_clock_text:contains(after)",
        },
    ],
});
